"""The tables that describe a program to the kernels: which column of a row means what."""

from __future__ import annotations

# Kinds of cells: what sends.
SOURCE, COMPARTMENT, ACTIVATION, SIGMA_DELTA, LINE = range(5)

# Kinds of synapses, by how their weights lie.
DENSE, SPARSE, CONV, NOW = range(4)  # NOW: no synapse, a Source that is heard in the same step

# Columns of a cell.
(
    KIND,
    SIZE,  # number of elements
    LIVE,  # where its tiles' flags begin
    STATE,  # where its states begin in a sample's row of states
    PENDING,  # where the sums lie that the first step of the next stretch hears
    START,  # the step before which it rests
    FIRST_SYNAPSE,
    LAST_SYNAPSE,  # the range of its synapses
    FIRST_RECORD,
    LAST_RECORD,  # the range of what is recorded of it
    PARAMS,  # where its parameters begin: those of compartments and lines in the table, others' in the params
    EMIT,
    RESET,
    SHIFT,  # by which a graded voltage, or a change of sigma-delta, is shifted right
    INPUT_SHIFT,  # by which what a delta neuron hears is shifted left
    STOCK,
    DECAY_U,
    DECAY_V,  # parts of 4096 that are kept
    THETA,
    BIAS_U,
    BIAS_V,
    LOW,
    HIGH,
    RISE,
    STEPS,  # number of thresholds of an activation, -1 without; length of a line
    OWN_ROW,  # where the table says which row of thresholds is a neuron's
    STRIDE,  # of the parameters: 0 for one set for all, 1 for one each
    TIES_EVEN,
    SIGMA,  # whether an activation adds up
    DELTA,  # whether it sends changes
    LEAST,  # least change that is sent
    ROLE,  # of sigma-delta
) = range(32)
CELL_WIDTH = 32

# Columns of a synapse.
(
    LAYOUT,
    SENDER,  # the cell that it hears
    WEIGHTS,  # where its weights begin
    OUTPUTS,  # number of sums
    EXPONENT,
    SPIKES,  # whether any message counts as 1, or is 1
    WRAPS,  # whether its sums may leave 24 bits and wrap
    DIRECT,  # whether its sums are added as they are, without shift or wrap
    TABLE,  # where its columns (sparse), or the rows that it reaches (convolution), begin in the table
    CHANNELS,  # of the map that it hears; of a sparse one, the number of its inputs
    EACH,  # channels that it hears in a group
    WIDTH,  # of the map that it hears
    OUT_CHANNELS,  # in a group
    ROWS,  # of the kernel
    KERNEL,  # number of weights of a channel
    KERNEL_ROW,  # number of weights of a row of the kernel
    ACROSS,  # where the pieces of each column begin in the table
    PIECES,  # number of pieces of a column
) = range(18)
SYNAPSE_WIDTH = 18

# Columns of a record.
RECORD_STATE, RECORD_AT = range(2)  # which of the cell's states, and where in a row of what is recorded
RECORD_WIDTH = 2

# Codes.
EMIT_SPIKE, EMIT_MULTI, EMIT_STATE = range(3)
RESET_ZERO, RESET_SUBTRACT, RESET_NONE = range(3)
ROLE_DELTA, ROLE_SIGMA_DELTA, ROLE_SIGMA = range(3)
