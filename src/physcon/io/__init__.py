"""Files: weights of published networks, read without unpickling."""

from physcon.io.weights import load_torch_anp as load_torch_anp
