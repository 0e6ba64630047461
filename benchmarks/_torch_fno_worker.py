"""neuraloperator's FNO in a process of its own: one timed call for every line on stdin.

Started by bench_operators.py with: ndim, *space, *modes, width, batch, threads. Prints
the number of (real) parameters and PyTorch's version, then seconds of processor time,
a line each. Calls are forward, forward+backward, or training (ten steps of gradient
descent).
"""

import sys
import time

import torch
from neuralop.models import FNO


def main() -> None:
    ndim, *words = map(int, sys.argv[1:])
    space, modes, (width, batch, threads) = (
        words[:ndim],
        words[ndim : 2 * ndim],
        words[2 * ndim :],
    )
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    # Its n_modes counts both signs: 2 M on complex axes, and 2 (M - 1) for M modes of
    # the real one.
    n_modes = (*(2 * m for m in modes[:-1]), 2 * (modes[-1] - 1))
    model = FNO(
        n_modes=n_modes,
        in_channels=1,
        out_channels=1,
        hidden_channels=width,
        n_layers=4,
        lifting_channel_ratio=0,
        projection_channel_ratio=128 / width,
        positional_embedding="grid",
        use_channel_mlp=False,
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-9)
    u = torch.randn(batch, 1, *space)
    print(
        sum(p.numel() * (2 if p.is_complex() else 1) for p in model.parameters()),
        torch.__version__,
        flush=True,
    )
    for line in sys.stdin:
        start = time.process_time()
        if line.strip() == "forward":
            with torch.no_grad():
                model(u)
        else:
            for _ in range(10 if line.strip() == "training" else 1):
                model.zero_grad(set_to_none=True)
                (model(u) ** 2).sum().backward()
                if line.strip() == "training":
                    optimizer.step()
        print(time.process_time() - start, flush=True)


if __name__ == "__main__":
    main()
