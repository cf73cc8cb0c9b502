"""What plugins and the kernel promise each other: Protocols and the Structs that cross them."""
