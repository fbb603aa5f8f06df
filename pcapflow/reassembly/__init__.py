"""Stage 3: `SegmentColumns` to `StreamData`, `StreamGap` and `StreamEnd`."""
