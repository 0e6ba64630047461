"""neuraloperator's FNO trained in a process of its own, as bench_operator_data.py asks.

Arguments: arrays.npz (inputs, answers, test_0, test_1, ...), settings.json, and the
file for its predictions. Prints the number of (real) parameters and the seconds of
training as JSON.
"""

import json
import sys
import time

import numpy as np
import torch
from neuralop.models import FNO


def relative_l2(prediction, truth):
    return (torch.linalg.vector_norm(prediction - truth, dim=(1, 2, 3))
            / torch.linalg.vector_norm(truth, dim=(1, 2, 3)))  # fmt: skip


def main() -> None:
    arrays, settings, output = sys.argv[1:]
    with open(settings) as file:
        s = json.load(file)
    torch.set_num_threads(s["threads"])
    torch.manual_seed(s["seed"])
    data = {name: torch.from_numpy(a) for name, a in np.load(arrays).items()}
    inputs, answers = data["inputs"], data["answers"]
    mean, std = (
        inputs.mean((0, 2, 3), keepdim=True),
        inputs.std((0, 2, 3), keepdim=True) + 1e-6,
    )
    centre, scale = answers.mean(), answers.std() + 1e-6
    # Its n_modes counts both signs: 2 M on complex axes, and 2 (M - 1) for M modes of
    # the real one.
    model = FNO(
        n_modes=(2 * s["modes"][0], 2 * (s["modes"][1] - 1)),
        in_channels=inputs.shape[1],
        out_channels=1,
        hidden_channels=s["width"],
        n_layers=s["depth"],
        lifting_channel_ratio=0,
        projection_channel_ratio=128 / s["width"],
        positional_embedding=None,
        use_channel_mlp=False,
        # Its padding goes to both ends of an axis, half to each.
        domain_padding=[p / 2 for p in s["padding"]],
    )

    def predict(u):
        return model((u - mean) / std) * scale + centre

    per_epoch = inputs.shape[0] // s["batch"]
    steps = s["epochs"] * per_epoch
    optimizer = torch.optim.Adam(
        model.parameters(), lr=s["learning_rate"], weight_decay=s["weight_decay"]
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    start = time.perf_counter()
    for _ in range(s["epochs"]):
        order = torch.randperm(inputs.shape[0])
        for i in range(per_epoch):
            chosen = order[i * s["batch"] : (i + 1) * s["batch"]]
            optimizer.zero_grad(set_to_none=True)
            relative_l2(predict(inputs[chosen]), answers[chosen]).mean().backward()
            optimizer.step()
            schedule.step()
    seconds = time.perf_counter() - start
    with torch.no_grad():
        tests = [name for name in data if name.startswith("test_")]
        found = {
            n: torch.cat([predict(u) for u in data[n].split(50)]).numpy() for n in tests
        }
    np.savez(output, **found)
    parameters = sum(
        p.numel() * (2 if p.is_complex() else 1) for p in model.parameters()
    )
    print(json.dumps({"parameters": parameters, "training_s": seconds}))


if __name__ == "__main__":
    main()
