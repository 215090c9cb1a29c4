"""Keys that tokens of the simulated providers are signed with: made once, the same between runs."""

from joserfc.jwk import RSAKey

from admin_app.simulator.world import World


def signing_key(world: World, name: str) -> RSAKey:
    """The RSA key of 2048 bits under this name, made and kept in the store the first time it is asked for."""
    with world.store.lock:
        kept = world.store.get("key", name)
        if kept is None:
            kept = {"id": name, "pem": RSAKey.generate_key(2048).as_pem(private=True).decode()}
            world.store.put("key", kept)
    return RSAKey.import_key(kept["pem"])
