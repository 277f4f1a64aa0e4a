"""What a network costs and where its time goes, held against the four guidelines of ShuffleNet V2."""
