"""What is measured, by `make bench`: figures of this machine, some of them beside another product's in the same run."""
