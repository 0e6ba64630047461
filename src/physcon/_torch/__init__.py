"""Wrapped functions under `torch.compile`; see `physcon.torch`."""

__all__: list[str] = []
