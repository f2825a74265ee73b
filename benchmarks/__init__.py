"""What deploys and plans cost, measured side by side with other tools. Run by `make bench`; no part of the product."""
