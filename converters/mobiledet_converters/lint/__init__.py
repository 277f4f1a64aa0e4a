"""What will hold a .tflite file up on a processor, a GPU or an NPU, found in the file itself before it is shipped."""
