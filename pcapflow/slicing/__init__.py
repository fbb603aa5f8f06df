"""Parts of captures as captures: which packets, how they are written, and what is masked in them."""
