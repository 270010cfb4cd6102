"""What an operator writes: settings, presets.yaml and the origins file, read once and watched for changes.

In: flags, the environment and files (`settings.load_settings`, `deployment`). Out: frozen `Settings`,
`Presets` and `Sources`, or an error with line and column.
"""

from proxy.config.presets import Presets, load_presets
from proxy.config.settings import Settings, load_settings

__all__ = ["Presets", "Settings", "load_presets", "load_settings"]
