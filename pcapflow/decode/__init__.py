"""Stage 2: `PacketBlock` to `SegmentColumns`. The column path takes what is common, dpkt the rest, row by row."""
