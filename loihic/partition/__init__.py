"""Resources of a core: what a network takes of a chip."""
