"""Nothing: the contenders are compared in a server without the settings of the product."""
