"""The intermediate representation: nodes, graphs, linear maps, the operator registry and the text form."""
