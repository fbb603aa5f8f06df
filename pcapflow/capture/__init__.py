"""Stage 1: capture files to `PacketBlock`. Input happens here and nowhere else."""
