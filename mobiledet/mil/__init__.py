"""A reference interpreter of Core ML packages: ML Programs, and pipelines of them with non-maximum suppression.

There is no Core ML runtime outside Apple's systems. This one follows the definitions of the MIL operations with
PyTorch's kernels on any platform, so that a written package can be held against the network that it came from, whoever
wrote it. It says what the file computes; it says nothing about how fast, nor how a Neural Engine rounds inside of an
operation.

``CoreMlModel(path).predict(features)`` is the way in. From the outside to the inside:

- ``model.py``: a package, its images and its pipeline; ``suppression.py``: the model kind at the end of Vision's.
- ``program.py``: a function of an ML Program, made ready once: constants decoded, what depends on them alone computed,
  operations bound to their arguments. At run time each result is brought to its declared type, held against its
  declared shape, and dropped after its last use.
- ``operations``: the table of operations, one file for each section of MIL's reference. One that is not in it is an
  error that names it: recurrent and random ones, lists, states and classifiers are not, for detectors have none.
- ``values.py``, ``dtypes.py``: constants and number formats as they are stored.
- ``readers.py``: what of coremltools reads the files.

``mobiledet.devices.coreml_process`` is all this as a process, for those who must not load torch or coremltools.
"""
