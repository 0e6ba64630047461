"""Wrapped functions under `torch.compile`; see `physcon.torch`."""
