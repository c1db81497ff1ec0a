"""Pure: values in, values out. No input or output, no clock, no logger; the standard library only."""
