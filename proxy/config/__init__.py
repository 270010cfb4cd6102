"""What an operator writes: settings, presets.yaml, origins files; read once, watched for changes.

In: the environment, flags and files. Out: frozen `Settings`, `Presets` and `Sources`, or an error with line
and column.
"""
