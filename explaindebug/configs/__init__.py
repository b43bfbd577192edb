"""The composed application's configuration, found as `pkg://explaindebug.configs`."""
