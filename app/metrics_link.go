package app

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/router"
)

// componentMetrics shows the state and the counts of the link.
func componentMetrics(c *component.Component) prometheus.Collector {
	stat := func(f func(component.Stats) uint64) func() float64 {
		return func() float64 { return float64(f(c.Stats())) }
	}
	return collected{
		figures{
			counter("component_stanzas_received_total", "Stanzas received from the server.", stat(func(s component.Stats) uint64 { return s.StanzasIn })),
			counter("component_stanzas_sent_total", "Stanzas accepted for sending.", stat(func(s component.Stats) uint64 { return s.StanzasOut })),
			counter("component_received_bytes_total", "Bytes read from the server.", stat(func(s component.Stats) uint64 { return s.BytesIn })),
			counter("component_sent_bytes_total", "Bytes accepted for sending.", stat(func(s component.Stats) uint64 { return s.BytesOut })),
			counter("component_reads_total", "Reads from the connection.", stat(func(s component.Stats) uint64 { return s.Reads })),
			counter("component_writes_total", "Writes to the connection.", stat(func(s component.Stats) uint64 { return s.Writes })),
			counter("component_sessions_total", "Successful handshakes.", stat(func(s component.Stats) uint64 { return s.Sessions })),
			counter("component_too_large_total", "Received stanzas over a limit.", stat(func(s component.Stats) uint64 { return s.TooLarge })),
			counter("component_malformed_total", "Received stanzas that could not be handled.", stat(func(s component.Stats) uint64 { return s.Malformed })),
			counter("component_unexpected_total", "Replies that nobody waited for.", stat(func(s component.Stats) uint64 { return s.Unexpected })),
			gauge("component_requests_pending", "Requests of ours that wait for their answer.", func() float64 { return float64(c.Stats().Pending) }),
			counter("component_requests_answered_total", "Requests of ours that were answered.", stat(func(s component.Stats) uint64 { return s.Answered })),
			counter("component_request_seconds_total", "How long these took, all together.", func() float64 { return c.Stats().Waited.Seconds() }),
			gauge("component_connect_seconds", "How long the last session's connection took, with TLS.", func() float64 { return c.Stats().Connect.Seconds() }),
			gauge("component_login_seconds", "How long its handshake took.", func() float64 { return c.Stats().Login.Seconds() }),
			gauge("component_send_buffer_bytes", "Bytes that wait to be sent.", func() float64 { return float64(c.Stats().Buffered) }),
			gauge("component_failures", "Tries in a row that failed.", func() float64 { return float64(c.State().Failures) }),
		},
		phases{c},
	}
}

// phases shows the state of the link: 1 for the phase that it is in.
type phases struct{ c *component.Component }

func (phases) desc() *prometheus.Desc {
	return prometheus.NewDesc(namespace+"_component_phase", "1 for what the link is doing; online is when users are served.", []string{"phase"}, nil)
}

// Describe implements prometheus.Collector.
func (p phases) Describe(ch chan<- *prometheus.Desc) { ch <- p.desc() }

// Collect implements prometheus.Collector.
func (p phases) Collect(ch chan<- prometheus.Metric) {
	now := p.c.State().Phase
	for phase := component.PhaseStopped; phase <= component.PhaseStandby; phase++ {
		value := 0.0
		if phase == now {
			value = 1
		}
		ch <- prometheus.MustNewConstMetric(p.desc(), prometheus.GaugeValue, value, phase.String())
	}
}

// routerMetrics shows the load and what became of it.
func routerMetrics(r *router.Router) prometheus.Collector {
	now := func(f func(router.Stats) int) func() float64 { return func() float64 { return float64(f(r.Stats())) } }
	sum := func(f func(router.Stats) uint64) func() float64 {
		return func() float64 { return float64(f(r.Stats())) }
	}
	return figures{
		gauge("router_waiting", "Stanzas that wait for a handler.", now(func(s router.Stats) int { return s.Waiting })),
		gauge("router_handling", "Stanzas that are being handled.", now(func(s router.Stats) int { return s.Handling })),
		gauge("router_queued_bytes", "Bytes of the stanzas that wait or are being handled.", now(func(s router.Stats) int { return s.Bytes })),
		gauge("router_lanes", "Pairs of addresses with stanzas in work.", now(func(s router.Stats) int { return s.Lanes })),
		gauge("router_senders", "Addresses with stanzas in work.", now(func(s router.Stats) int { return s.Senders })),
		gauge("router_workers", "Goroutines that handle stanzas.", now(func(s router.Stats) int { return s.Workers })),
		counter("router_handled_total", "Stanzas whose handler returned.", sum(func(s router.Stats) uint64 { return s.Handled })),
		counter("router_unmatched_total", "Stanzas that no route took.", sum(func(s router.Stats) uint64 { return s.Unmatched })),
		counter("router_failed_total", "Stanzas whose handler failed.", sum(func(s router.Stats) uint64 { return s.Failed })),
		counter("router_panics_total", "Handlers that panicked.", sum(func(s router.Stats) uint64 { return s.Panics })),
		counter("router_late_total", "Handlers that were over their time.", sum(func(s router.Stats) uint64 { return s.Late })),
		counter("router_overloaded_total", "Stanzas for which there was no room.", sum(func(s router.Stats) uint64 { return s.Overloaded })),
		counter("router_coalesced_total", "Waiting presence that newer presence replaced.", sum(func(s router.Stats) uint64 { return s.Coalesced })),
		counter("router_dropped_total", "Stanzas that were neither handled nor answered.", sum(func(s router.Stats) uint64 { return s.Dropped })),
		counter("router_ignored_total", "Results and errors that belong to no request.", sum(func(s router.Stats) uint64 { return s.Ignored })),
		counter("router_lost_total", "Answers that the link did not take.", sum(func(s router.Stats) uint64 { return s.Lost })),
	}
}

// collected is several collectors as one.
type collected []prometheus.Collector

// Describe implements prometheus.Collector.
func (cs collected) Describe(ch chan<- *prometheus.Desc) {
	for _, c := range cs {
		c.Describe(ch)
	}
}

// Collect implements prometheus.Collector.
func (cs collected) Collect(ch chan<- prometheus.Metric) {
	for _, c := range cs {
		c.Collect(ch)
	}
}
