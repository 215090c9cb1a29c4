"""The five earlier systems as they really are, at any size: what moving in is tested on."""
