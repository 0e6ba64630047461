"""Files: predictions (npz, HDF5, NetCDF) and weights of published networks. No unpickling."""

from physcon.io.predictions import read_arrays as read_arrays
from physcon.io.predictions import write_arrays as write_arrays
from physcon.io.weights import load_torch_anp as load_torch_anp
