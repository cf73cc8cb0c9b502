"""Who may call what: the grants of the roles, worked out for each entity and call."""

from __future__ import annotations

from msgspec import Struct

from factory_core.contracts.blueprint import Blueprint, CrudCall, Entity, Role

__all__ = ["Access", "EntityAccess", "access_of", "endpoint_roles", "entity_access"]

_READS = frozenset({CrudCall.LIST, CrudCall.DETAILS})


class Access(Struct, frozen=True, kw_only=True):
    """The roles that may make a call, and those of them that only reach the rows they made."""

    roles: tuple[str, ...] = ()
    own: tuple[str, ...] = ()

    @property
    def code(self) -> str:
        """The roles as Python arguments."""
        return ", ".join(f'"{role}"' for role in self.roles)


class EntityAccess(Struct, frozen=True, kw_only=True):
    """The access of each call of one entity."""

    list: Access
    create: Access
    details: Access
    update: Access
    delete: Access
    read: Access
    write: Access

    @property
    def any_own(self) -> bool:
        """Whether it matters who made a row."""
        return bool(self.read.own or self.write.own)

    @property
    def own_code(self) -> str:
        """The roles that only reach what they made, as Python literals."""
        return ", ".join(f'"{role}"' for role in dict.fromkeys((*self.read.own, *self.write.own)))


def access_of(blueprint: Blueprint, entity: str, *, writing: bool) -> Access:
    """What the grants alone say."""
    reach = {role.name: _reach(role, entity, writing=writing) for role in blueprint.roles}
    return Access(
        roles=tuple(name for name, level in reach.items() if level),
        own=tuple(name for name, level in reach.items() if level == "own"),
    )


def endpoint_roles(blueprint: Blueprint, named: tuple[str, ...]) -> tuple[str, ...]:
    """The roles an endpoint lets in that names some: those, and whoever may do everything."""
    return tuple(role.name for role in blueprint.roles if role.name in named or _may_all(role))


def entity_access(blueprint: Blueprint, entity: Entity) -> EntityAccess:
    """The grants, narrowed or widened by declared endpoints that name roles."""
    read = access_of(blueprint, entity.name, writing=False)
    write = access_of(blueprint, entity.name, writing=True)

    def of(call: CrudCall) -> Access:
        granted = read if call in _READS else write
        for endpoint in blueprint.endpoints:
            if endpoint.call is call and endpoint.entity == entity.name and endpoint.roles:
                roles = endpoint_roles(blueprint, endpoint.roles)
                return Access(roles=roles, own=tuple(role for role in granted.own if role in roles))
        return granted

    return EntityAccess(
        list=of(CrudCall.LIST),
        create=of(CrudCall.CREATE),
        details=of(CrudCall.DETAILS),
        update=of(CrudCall.UPDATE),
        delete=of(CrudCall.DELETE),
        read=read,
        write=write,
    )


def _may_all(role: Role) -> bool:
    return any(grant.verb == "all" for grant in role.grants)


def _reach(role: Role, entity: str, *, writing: bool) -> str:
    verbs = {grant.verb for grant in role.grants if grant.entity in {None, entity}}
    if "all" in verbs or ("write" if writing else "read") in verbs:
        return "all"
    return "own" if "own" in verbs else ""
