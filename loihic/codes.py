"""Every diagnostic code: its title, its exit status and the text of `loihic explain CODE`."""

from __future__ import annotations

from dataclasses import dataclass

from loihic.errors import ExitCode


@dataclass(frozen=True, slots=True)
class Code:
    """What a diagnostic code means.

    Attributes:
        title: the kind of problem in a few words.
        exit_code: the status with which the command line ends.
        text: a paragraph that explains cause and remedies.
    """

    title: str
    exit_code: int
    text: str


CODES: dict[str, Code] = {
    # 1xx: files and inputs
    "LHC101": Code("file cannot be read", ExitCode.MODEL,
        "The file is missing, empty, truncated, or not of the format its name promises. A .nir file is HDF5; a "
        ".loihic file is written by `loihic compile`. Export or download it again."),
    "LHC102": Code("unknown node type", ExitCode.UNSUPPORTED,
        "The graph holds a node that loihic does not know. `loihic ops` lists what it knows. Replace the node in the "
        "trained network, or register an operator under the entry point group `loihic.ops`."),
    "LHC103": Code("node parameter is missing or malformed", ExitCode.MODEL,
        "A parameter of a node is absent, has the wrong shape or type, or is larger than the file can hold. The "
        "exporter that wrote the file is at fault; its version and the node's name help its authors."),
    "LHC104": Code("parameter is not a finite number", ExitCode.MODEL,
        "A weight, bias, time constant or threshold is NaN or infinite. Usually training diverged; check the "
        "parameter in the framework before exporting."),
    "LHC105": Code("parameter out of its range", ExitCode.MODEL,
        "A time constant must be positive, a threshold must not be below the reset potential, a stride or kernel must "
        "be at least one. Values outside have no meaning in NIR's equations."),
    "LHC106": Code("artefact is damaged", ExitCode.MODEL,
        "The .loihic file does not match its own checksum, or its header is malformed. Compile the model again."),
    "LHC107": Code("artefact is of another version", ExitCode.MODEL,
        "The .loihic file was written by a newer loihic, or by one too old to be read. Install the matching version "
        "or compile the model again."),
    "LHC108": Code("part of a file ignored", ExitCode.MODEL,
        "The file holds something that loihic does not read and does not need: metadata of an unusual type, or a "
        "parameter that NIR's definition of the node does not have. The rest was read."),
    "LHC109": Code("end of a network is left to the host", ExitCode.MODEL,
        "A note: softmax, arg max and top-k at an output of an ONNX or PyTorch graph do not run on the chip. The "
        "output is taken before them; the largest element stays the largest, so that a classification needs no more."),
    "LHC110": Code("input does not match the program", ExitCode.MODEL,
        "An input array has the wrong shape, type or name. `loihic show OUT.loihic` prints the inputs' shapes; arrays "
        "are (T, *shape) or (N, T, *shape), and .npz files hold one array per input node."),
    "LHC111": Code("input value outside the declared range", ExitCode.MODEL,
        "The program was compiled, and proven free of overflow, for a range of inputs. Compile again with "
        "--input-range LO HI, or with --calibration."),
    "LHC113": Code("range of values unknown", ExitCode.MODEL,
        "A value of the network is a real number, and must become one of a few levels, but nothing says between which "
        "limits it lies. Give --calibration DATA.npz with some typical inputs; for an input alone --input-range LO HI "
        "and --input-bits N will do. Networks that were quantised before the export need neither."),
    "LHC112": Code("file cannot be written", ExitCode.MODEL,
        "The output could not be written: a full disk, a missing folder or missing permission. Nothing was left half "
        "written; an older file of that name is untouched."),
    "LHC114": Code("network is written otherwise than it was read", ExitCode.MODEL,
        "A warning of `loihic import`. NIR says nothing of the state in which a neuron starts, and has no maps between "
        "feature maps but convolutions and pooling. What the network computes is the same but for what the message "
        "says; to lose nothing, compile the original file itself."),
    "LHC115": Code("labels do not fit the data", ExitCode.MODEL,
        "What should come out is given as whole numbers (labels, from 0, one for each element of the output) or as "
        "real ones (targets), one for each sample or for each step of it: (N,) or (N, T), targets of several "
        "elements (N, elements) or (N, T, elements). They lie in a file of their own (--labels FILE.npy) or in the "
        "data set, under labels or targets."),
    "LHC116": Code("checkpoint does not fit the run", ExitCode.MODEL,
        "The state of a run can be taken up only by the program that it is a state of, with the same input, and with "
        "the outputs that the interrupted run has left. The message says which of them differs. To begin anew, leave "
        "out --resume."),
    # 2xx: graph structure
    "LHC201": Code("edge names a node that does not exist", ExitCode.MODEL,
        "An edge begins or ends at a name that is not in the graph."),
    "LHC202": Code("shapes do not agree", ExitCode.MODEL,
        "A node receives an array of a shape that its parameters do not fit. loihic infers shapes from the Input "
        "nodes and the parameters; the first disagreement along the way is the one to mend."),
    "LHC203": Code("graph has no input or no output", ExitCode.MODEL,
        "A graph needs at least one Input and one Output node, and each Output must be reachable."),
    "LHC204": Code("node is not connected", ExitCode.MODEL,
        "A node has no incoming edge, so its input is undefined. Remove the node or connect it."),
    "LHC205": Code("loop without a neuron", ExitCode.MODEL,
        "A loop passes through linear nodes alone, so that its value would depend on itself within one step. Put a "
        "neuron or a Delay into the loop."),
    "LHC206": Code("edge given more than once", ExitCode.MODEL,
        "The list of edges repeats a pair. NIR's edges are a set, so the edge was taken once. If a sum of two equal "
        "signals was meant, double the weights instead."),
    "LHC207": Code("subgraph cannot be inlined", ExitCode.UNSUPPORTED,
        "A NIR edge names a node, not a port. An edge at a subgraph therefore needs a subgraph with exactly one Input "
        "(for edges into it) or one Output (for edges out of it), and two bare wires between the same two nodes cannot "
        "be told apart. Give the subgraph one Input and one Output, or flatten it before the export."),
    # 3xx: time
    "LHC301": Code("time step too long", ExitCode.MODEL,
        "dt must be below every time constant, or the discretised neuron does not decay but oscillates or forgets at "
        "once. Give a smaller --dt; if the time constants are in steps rather than seconds, give --dt 1 or less."),
    "LHC302": Code("loop is too long to be exact", ExitCode.UNSUPPORTED,
        "On Loihi every connection takes one step. A recurrent loop through one connection is exactly NIR's one-step "
        "recurrence; a loop through more arrives later than the trained network expects. --allow-loop-delay accepts "
        "the later arrival and writes it into the ledger; a Delay node in the loop, or retraining with the delay, "
        "makes it exact."),
    "LHC303": Code("time step assumed", ExitCode.MODEL,
        "NIR files do not say with which time step the network was trained. Without --dt loihic takes 1 for graphs of "
        "unit-step neurons and 1e-4 s otherwise, which is what NIR's exporters assume. A wrong dt changes every "
        "decay: give the one used in training."),
    # 4xx: what Loihi cannot do
    "LHC401": Code("operator cannot run on Loihi 2", ExitCode.UNSUPPORTED,
        "What the node computes has no integer form on the chip. The help line names the nearest thing that has."),
    "LHC402": Code("stock processes are not enough", ExitCode.UNSUPPORTED,
        "--stock-only was given, and the node needs one of loihic's own Processes: reset by subtraction, several "
        "spikes a step, graded outputs of an integrator, or a bias that must start with the input."),
    "LHC403": Code("value exceeds a hardware field", ExitCode.DOES_NOT_FIT,
        "An integer does not fit the chip's field for it: 17 bits of threshold, 12 bits of decay, 13 bits of bias "
        "mantissa, 3 bits of bias exponent, 8 bits of weight, exponents from -8 to 7."),
    "LHC404": Code("state may overflow", ExitCode.DOES_NOT_FIT,
        "No scale was found at which the 24-bit states are certain not to overflow and the weights still have "
        "precision. Give --calibration or a narrower --input-range."),
    "LHC405": Code("budget cannot be met", ExitCode.DOES_NOT_FIT,
        "No choice of weight widths keeps within the memory words, cores, energy or error that were asked for. The "
        "message says the least that is possible; give a budget of at least that, or raise one of the others."),
    "LHC406": Code("a neuron does not fit a core", ExitCode.DOES_NOT_FIT,
        "A neuron keeps the weights and axons of all its inputs in its own core; under a shared kernel a core holds at "
        "least one pixel of a group of channels, with the kernel for these channels. The message says which memory of "
        "an otherwise empty core is too small. Fewer bits per weight (--weight-bits NODE=4), fewer inputs, or a chip "
        "with other limits (--target FILE.toml) help. `loihic targets loihi2` lists the limits and their sources."),
    "LHC407": Code("network does not fit the system", ExitCode.DOES_NOT_FIT,
        "The network needs more cores than the chips have, or than --cores allows. --chips and --system give "
        "more, fewer bits per weight need less. `loihic targets` lists the systems."),
    "LHC408": Code("delay too long", ExitCode.DOES_NOT_FIT,
        "A synapse holds a message back for up to 63 steps. A Delay, or branches of a network whose lengths differ, "
        "ask for more."),
    "LHC409": Code("chip without graded spikes", ExitCode.DOES_NOT_FIT,
        "On Loihi 1 a spike carries no value. Graded inputs, neurons that spike several times a step and integrators "
        "whose voltage is read by other neurons need Loihi 2."),
    "LHC411": Code("quantiser cannot become thresholds", ExitCode.UNSUPPORTED,
        "Between a sum and the quantiser behind it loihic takes any functions of one element, as long as the level "
        "rises with the sum: then a few thresholds say it all. A function that falls somewhere (SiLU, GELU), more than "
        "4096 levels behind a function that is no clip, or a maximum of values on different grids have no such form. "
        "Quantise the function's value to fewer bits, or choose a function that rises."),
    "LHC412": Code("weights of integer neurons are no whole numbers", ExitCode.MODEL,
        "A file of lava-dl holds whole weights, or whole multiples of a power of two. An average over a number of "
        "neurons that is no power of two has none: replace it by a sum, and multiply the threshold behind it."),
    # 5xx: losses (warnings, or errors under --strict)
    "LHC501": Code("losses under --strict", ExitCode.MODEL,
        "--strict turns every entry of the loss ledger into an error. `loihic compile` without it, then "
        "`loihic show OUT.loihic`, prints the ledger."),
    "LHC502": Code("bits were allocated", ExitCode.MODEL,
        "A note: under --weight-bits auto the compiler chose how many bits each synapse group gets. The choice errs "
        "least within --budget (by default: the words that 8 bits everywhere would take), or takes the fewest words "
        "within --max-error. `loihic compile --dump-bits FILE.toml` writes it down, --weight-bits FILE.toml takes it "
        "again."),
    "LHC503": Code("option without effect", ExitCode.MODEL,
        "A warning: an option was given that changes nothing, because the file says itself what it would choose. The "
        "weights of a quantised network are kept as they are, and so is the grid of its inputs."),
    # 6xx: backends
    "LHC601": Code("backend is not installed", ExitCode.UNSUPPORTED,
        "The backend needs a package that is not there. `loihic doctor` says what is missing and what to type."),
    "LHC602": Code("Lava failed", ExitCode.INTERNAL,
        "A Lava process raised an exception, or its worker ended. Its message is shown. Lava runs in a process group "
        "of its own, which was ended; nothing is left running."),
    "LHC603": Code("Lava ran out of time", ExitCode.INTERNAL,
        "The run took longer than its time limit (--timeout) and its whole process group was ended. Lava's simulator "
        "needs about 0.2 ms per process and step; an exception in one of its workers can also make it hang."),
    "LHC604": Code("programs disagree", ExitCode.MODEL,
        "verify found a step at which the two sides differ. The first divergence is shown."),
    "LHC605": Code("scheduler cannot be reached", ExitCode.UNSUPPORTED,
        "--scheduler names a running Dask scheduler, as in tcp://192.168.0.7:8786. Nothing answered there in time, or "
        "the connection was lost. `dask scheduler` starts one, `dask worker ADDRESS` gives it workers; without "
        "--scheduler the work is done on this machine."),
    "LHC606": Code("work on a cluster failed", ExitCode.INTERNAL,
        "A worker failed several times over the same piece of work, or has no loihic of this version. A worker that is "
        "lost (memory, machine, network) has its piece done by another one, up to the cluster's own limit "
        "(distributed.scheduler.allowed-failures). Fewer samples at once (--shard N of evaluate, --samples N of "
        "sweep) need less memory; --resume goes on from what was finished."),
    # 7xx: usage
    "LHC701": Code("unknown name", ExitCode.USAGE,
        "A node, state, pass or code of that name does not exist. The message lists what does."),
    "LHC702": Code("option value is out of range", ExitCode.USAGE,
        "An option's value has no meaning; the message names the range."),
    "LHC900": Code("internal error", ExitCode.INTERNAL,
        "loihic itself is at fault. A reproducer was written where the message says; please report it."),
}
