// Package doctor finds out what stands between a component and its server, step by step, and says what to do about it. It is
// what "gateway check" knows.
package doctor

import (
	"context"
	"time"

	"github.com/postern-im/postern/component"
	"github.com/postern-im/postern/disco"
	"github.com/postern-im/postern/jid"
)

// Verdict is what became of a step.
type Verdict string

// The verdicts.
const (
	OK   Verdict = "ok"
	Warn Verdict = "warn" // works, and should be better
	Fail Verdict = "fail" // keeps the gateway from working
	Skip Verdict = "skip" // could not be looked at
)

// Finding is the outcome of one step.
type Finding struct {
	Step    string  `json:"step"`
	Verdict Verdict `json:"verdict"`
	Summary string  `json:"summary"`
	Remedy  string  `json:"remedy,omitempty"` // what to do, in lines
}

// Report is the outcome of all steps.
type Report struct {
	Findings []Finding `json:"findings"`
	// Refused means that the server does not know the domain or does not take the secret.
	Refused bool `json:"refused"`
}

// Healthy reports whether no step failed.
func (r Report) Healthy() bool {
	for _, f := range r.Findings {
		if f.Verdict == Fail {
			return false
		}
	}
	return true
}

// Config says what to examine.
type Config struct {
	Component component.Config
	Servers   []jid.JID // domains of the server; the first is asked what it is
	Grants    []Grant   // what each of them should grant
	// Shown, where set, is asked what servers are to show of delegated namespaces (XEP-0355 section 7.2): what the gateway itself would
	// say, since Prosody asks once in its life. Without it the namespaces are shown as features.
	Shown disco.Source
	// Timeout is how long a peer may be silent; default 10 s.
	Timeout time.Duration
	// Running, where set, asks whether a gateway with this configuration runs already, and how it is. The doctor then opens no
	// link of its own, which would push out that gateway's or share its stanzas.
	Running func(ctx context.Context) (found, ready bool, reason string)
}

// Examine goes through all steps, as far as they lead. each, where set, is shown every finding at once.
func Examine(ctx context.Context, cfg Config, each func(Finding)) Report {
	const patience = 10 * time.Second
	if cfg.Timeout <= 0 {
		cfg.Timeout = patience
	}
	e := &examination{cfg: cfg, each: each}
	e.run(ctx)
	return e.report
}

// examination is one call of Examine.
type examination struct {
	cfg    Config
	each   func(Finding)
	report Report

	software string // what the server calls its software
	deaf     bool   // it grants privileges and drops our requests
}

func (e *examination) add(f Finding) {
	e.report.Findings = append(e.report.Findings, f)
	if e.each != nil {
		e.each(f)
	}
}

func (e *examination) run(ctx context.Context) {
	if e.running(ctx) {
		return
	}
	if !e.name(ctx) || !e.port(ctx) {
		return
	}
	desk := newDesk(e.cfg)
	link, err := open(ctx, e.cfg, desk)
	if err != nil {
		e.failed(ctx, err)
		return
	}
	defer link.close()
	e.add(Finding{Step: StepLink, Verdict: OK, Summary: "the server takes the domain and the secret"})
	e.add(e.encryption(link))
	alone := e.alone(ctx, link)
	e.add(alone)
	if alone.Verdict == OK { // else answers may go elsewhere
		e.server(ctx, link, desk)
		e.grants(ctx, desk)
	}
}

// running looks for a gateway that runs already.
func (e *examination) running(ctx context.Context) bool {
	if e.cfg.Running == nil {
		return false
	}
	found, ready, reason := e.cfg.Running(ctx)
	if !found {
		return false
	}
	f := Finding{Step: StepRunning, Verdict: OK, Summary: "a gateway with this configuration runs and is ready: " + reason}
	if !ready {
		f.Verdict, f.Summary = Fail, "a gateway with this configuration runs and is not ready: "+reason
	}
	f.Remedy = "No second link was opened beside its own: the server would end one of them, or spread the stanzas over both.\n" +
		"Stop the gateway and check again for the rest of the examination, or add --force to risk that."
	e.add(f)
	return true
}

// Steps of an examination, in their order.
const (
	StepConfig  = "config"
	StepRunning = "running"
	StepName    = "name"
	StepPort    = "port"
	StepTLS     = "tls"
	StepLink    = "link"
	StepAlone   = "alone"
	StepServer  = "server"
	StepOffers  = "offers"
	StepListed  = "listed"
	StepGrants  = "grants"
)
