"""What sigma-delta coding saves on friedman_mlp.onnx, and what its threshold costs: `python messages.py`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from score import determination

import loihic
from loihic.ops.activation import Coding
from loihic.partition.activity import message_rates

FOLDER = Path(__file__).parent
THRESHOLDS = (0, 2, 3, 4, 8)  # 1 is as good as 0: no change is smaller


def main() -> None:
    """Prints a line for graded messages, and one for each threshold of sigma-delta coding."""
    sensors = np.load(FOLDER / "friedman_mlp_test.npz")["input"]
    targets = np.load(FOLDER / "friedman_mlp_targets.npy")
    with np.load(FOLDER / "friedman_mlp_torch.npz") as arrays:
        floats, integers = arrays["floats"][:, 0], arrays["output"][:, 0]
    print(f"R2 in torch: floating point {determination(floats, targets):.4f}, "
          f"8 bits {determination(integers, targets):.4f}\n")
    print("coding         threshold  messages per step: of sensors, hidden, hidden, output      R2  "
          "rms off graded  greatest")
    graded = None
    for coding, threshold in ((Coding.GRADED, 0), *((Coding.SIGMA_DELTA, least) for least in THRESHOLDS)):
        program = loihic.compile(FOLDER / "friedman_mlp.onnx", activation=coding, delta_threshold=threshold)
        answers = program.dequantise(program.run(sensors).outputs)["output"][0, :, 0]
        graded = answers if graded is None else graded
        rates = message_rates(program.graph, program.encode(sensors), len(sensors))
        sent = [float(rate.sum()) for rate in rates.values()]
        off = np.abs(answers - graded)
        print(f"{coding.value:13} {threshold:10} {sum(sent):18.1f}     {sent[0]:7.2f} {sent[1]:7.2f} {sent[2]:7.2f} "
              f"{sent[3]:7.2f}  {determination(answers, targets):6.4f}  {np.sqrt(np.mean(off**2)):14.3f}  "
              f"{off.max():8.3f}")


if __name__ == "__main__":
    main()
