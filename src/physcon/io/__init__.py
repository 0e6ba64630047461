"""Files in and out: predictions (npz, HDF5, NetCDF) and weights."""

from physcon.io.predictions import read_arrays as read_arrays
from physcon.io.predictions import write_arrays as write_arrays
