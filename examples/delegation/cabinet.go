package main

import (
	"context"

	"github.com/postern-im/postern/delegation"
	"github.com/postern-im/postern/router"
	"github.com/postern-im/postern/stanza"
	"github.com/postern-im/postern/storage"
	"github.com/postern-im/postern/xep/private"
)

// Cabinet is a network that has a drawer for each account of the server. Nobody but the account opens it.
type Cabinet struct {
	Quota int `yaml:"quota"` // bytes in a drawer; 0 is private.DefaultQuota
	store storage.Store
}

// UseStorage implements gateway.Storing.
func (c *Cabinet) UseStorage(s storage.Store) { c.store = s }

// Delegations implements gateway.Delegated: what the server leaves to us, and who may ask for it.
func (c *Cabinet) Delegations() []delegation.Namespace {
	drawers := private.NewKeeper(c.store, c.Quota)
	return []delegation.Namespace{delegation.Serve(private.NS, delegation.OwnerOnly, drawers.Routes()...)}
}

// Routes implements gateway.Network. Nobody writes to the cabinet itself.
func (*Cabinet) Routes(stanza.Sender) []router.Route { return nil }

// Serve implements gateway.Network.
func (*Cabinet) Serve(context.Context, stanza.Sender) error { return nil }
