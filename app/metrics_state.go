package app

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/fx"

	"github.com/postern-im/postern/delegation"
	"github.com/postern-im/postern/outbox"
	"github.com/postern-im/postern/privilege"
)

// StateMetrics are what is measured of state and grants.
type StateMetrics struct {
	fx.Out

	Collectors []prometheus.Collector `group:"metrics,flatten"`
}

func newStateMetrics(d *database, owner *outbox.Owner, o *outbox.Outbox, p *privilege.Manager, del *delegation.Manager) StateMetrics {
	all := []prometheus.Collector{databaseMetrics(d), leaseMetrics(owner), outboxMetrics(o, d)}
	if p != nil {
		all = append(all, privilegeMetrics(p))
	}
	if del != nil {
		all = append(all, delegationMetrics(del))
	}
	return StateMetrics{Collectors: all}
}

// truth is 1 or 0.
func truth(f func() bool) func() float64 {
	return func() float64 {
		if f() {
			return 1
		}
		return 0
	}
}

// age is how many seconds ago something was; 0 if it never was.
func age(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return time.Since(t).Seconds()
}

func databaseMetrics(d *database) prometheus.Collector {
	return figures{
		gauge("database_usable", "1 while the database can be used.", truth(func() bool { return d.now().Usable })),
		counter("database_outages_total", "Times that the database could no longer be used.", func() float64 { return float64(d.now().Outages) }),
	}
}

func leaseMetrics(o *outbox.Owner) prometheus.Collector {
	return figures{
		gauge("lease_held", "1 while this process is the one that serves.", truth(func() bool { return o.State().Held })),
		counter("lease_acquired_total", "Times that this process took the lease.", func() float64 { return float64(o.State().Acquired) }),
		counter("lease_lost_total", "Times that this process lost the lease while it served.", func() float64 { return float64(o.State().Lost) }),
	}
}

// outboxMetrics shows what waits, as of the last look at the database, and what this process has done.
func outboxMetrics(o *outbox.Outbox, d *database) prometheus.Collector {
	stat := func(f func(outbox.Stats) uint64) func() float64 {
		return func() float64 { return float64(f(o.Stats())) }
	}
	return figures{
		gauge("outbox_waiting", "Stanzas that wait to be sent.", func() float64 { return float64(d.now().Outbox.Waiting) }),
		gauge("outbox_oldest_seconds", "Age of the oldest of them.", func() float64 { return age(d.now().Outbox.Oldest) }),
		gauge("outbox_dead", "Dead letters: stanzas that could not be sent.", func() float64 { return float64(d.now().Outbox.Dead) }),
		gauge("outbox_in_flight", "Stanzas sent and not yet confirmed.", func() float64 { return float64(o.Stats().InFlight) }),
		counter("outbox_sent_total", "Stanzas that the server has taken.", stat(func(s outbox.Stats) uint64 { return s.Sent })),
		counter("outbox_refused_total", "Stanzas that the server refused.", stat(func(s outbox.Stats) uint64 { return s.Refused })),
		counter("outbox_retried_total", "Stanzas tried again.", stat(func(s outbox.Stats) uint64 { return s.Retried })),
		counter("outbox_died_total", "Stanzas that became dead letters.", stat(func(s outbox.Stats) uint64 { return s.Dead })),
		counter("outbox_failures_total", "Calls of the database that failed.", stat(func(s outbox.Stats) uint64 { return s.Failures })),
	}
}

func privilegeMetrics(m *privilege.Manager) prometheus.Collector {
	stat := func(f func(privilege.Stats) uint64) func() float64 {
		return func() float64 { return float64(f(m.Stats())) }
	}
	return figures{
		gauge("privilege_servers_known", "Servers that have said on this link what they grant.", func() float64 {
			known := 0
			for _, g := range m.Grants() {
				if g.Known {
					known++
				}
			}
			return float64(known)
		}),
		counter("privilege_untrusted_total", "Grants that came from others than the configured servers.", stat(func(s privilege.Stats) uint64 { return s.Untrusted })),
		counter("privilege_missing_total", "Calls refused since a grant is missing.", stat(func(s privilege.Stats) uint64 { return s.Missing })),
		counter("privilege_refused_total", "Stanzas that a server refused in spite of its grant.", stat(func(s privilege.Stats) uint64 { return s.Refused })),
		counter("privilege_echoes_total", "Answers of ejabberd before 25.03 that were none.", stat(func(s privilege.Stats) uint64 { return s.Echoes })),
		counter("privilege_pushes_total", "Roster pushes that took effect.", stat(func(s privilege.Stats) uint64 { return s.Pushes })),
		counter("privilege_impersonations_total", "Users acted for without a stanza of theirs.", stat(func(s privilege.Stats) uint64 { return s.Impersonations })),
	}
}

func delegationMetrics(m *delegation.Manager) prometheus.Collector {
	stat := func(f func(delegation.Stats) uint64) func() float64 {
		return func() float64 { return float64(f(m.Stats())) }
	}
	return figures{
		gauge("delegation_granted", "Namespaces that servers leave to us now.", func() float64 { return float64(len(m.Granted())) }),
		counter("delegation_forwarded_total", "Requests that servers handed over.", stat(func(s delegation.Stats) uint64 { return s.Forwarded })),
		counter("delegation_refused_total", "Of them, refused by the namespace's rule of access.", stat(func(s delegation.Stats) uint64 { return s.Refused })),
		counter("delegation_strangers_total", "Grants and requests from others than the configured servers.", stat(func(s delegation.Stats) uint64 { return s.Strangers })),
	}
}
