"""Two versions of a detector on the same images: is the new one better, worse, or merely different?"""
