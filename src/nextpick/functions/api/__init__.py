"""Lambda's API over the functions of this home: the operations that programs around Personalize call."""
