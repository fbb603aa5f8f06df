"""Stage 2: `PacketBlock` to `SegmentColumns`. The column lane takes what is common, dpkt the rest, row by row."""
