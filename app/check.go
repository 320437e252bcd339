package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/postern-im/postern/admin"
	"github.com/postern-im/postern/delegation"
	"github.com/postern-im/postern/gateway"
	"github.com/postern-im/postern/internal/doctor"
	"github.com/postern-im/postern/internal/settings"
)

// checkCommand is "gateway check".
type checkCommand struct {
	configured

	configOnly bool
	json       bool
	force      bool
	timeout    time.Duration
}

func (c *checkCommand) define() *cobra.Command {
	cmd := &cobra.Command{
		Use: "check", Short: "Find out what stands in the way of the gateway, and what to do about it.",
		Long: `Reads the configuration, resolves and connects to the server's address, logs in as the gateway would, and asks the server
what it is and what it grants. Each step has a verdict; where one fails, what to do about it stands below, such as the lines to
add to Prosody's or ejabberd's configuration.

A component has one link. So when the gateway itself runs with this configuration, its own state is shown instead.

Exit codes: 0 all is well, 1 something is not, 2 wrong configuration, 3 refused by the server.`,
		Example: c.p.expand(`  ${name} check --config gateway.yaml
  ${name} check --config gateway.yaml --config-only
  ${name} check --config gateway.yaml --json | jq -r '.findings[] | select(.verdict == "fail") | .summary'`),
	}
	flags := cmd.Flags()
	c.flags(flags, "YAML `FILE` with the configuration. Environment variables override it, and the flags below override these.")
	flags.BoolVar(&c.configOnly, "config-only", false, "Only read the configuration; connect to nothing.")
	flags.BoolVar(&c.json, "json", false, "Write one JSON object in place of text.")
	flags.BoolVar(&c.force, "force", false,
		"Open a link even though the gateway seems to run: the server may then end either, or spread the stanzas over both.")
	flags.DurationVar(&c.timeout, "timeout", 10*time.Second, "How long the server may say nothing.")
	return cmd
}

// checkReport is what --json writes.
type checkReport struct {
	Healthy  bool             `json:"healthy"`
	Findings []doctor.Finding `json:"findings"`
}

func (c *checkCommand) run(ctx context.Context) int {
	show := func(f doctor.Finding) {
		if !c.json {
			_ = doctor.Print(c.p.stdout, f) // no one to tell
		}
	}
	src := c.source()
	cfg, warnings, err := load(src)
	findings := configFindings(src, cfg, warnings, err)
	if err != nil {
		if c.json {
			c.writeJSON(checkReport{Findings: findings})
		} else {
			c.p.complain(err)
		}
		return ExitConfig
	}
	for _, f := range findings {
		show(f)
	}
	report := doctor.Report{Findings: findings}
	if !c.configOnly {
		found, err := c.examine(ctx, cfg, show)
		if err != nil {
			c.p.complain(err)
			return ExitFailure
		}
		report.Findings, report.Refused = append(report.Findings, found.Findings...), found.Refused
	}
	if c.json {
		c.writeJSON(checkReport{Healthy: report.Healthy(), Findings: report.Findings})
	}
	switch {
	case report.Refused:
		return ExitRefused
	case !report.Healthy():
		return ExitFailure
	}
	return ExitOK
}

func (c *checkCommand) writeJSON(r checkReport) {
	enc := json.NewEncoder(c.p.stdout)
	enc.SetIndent("", "  ")
	_ = enc.Encode(r) // no one to tell
}

func (c *checkCommand) examine(ctx context.Context, cfg Config, show func(doctor.Finding)) (doctor.Report, error) {
	cc, err := cfg.Component.config()
	if err != nil {
		return doctor.Report{}, err
	}
	servers, err := cfg.Server.jids()
	if err != nil {
		return doctor.Report{}, err
	}
	dc := doctor.Config{Component: cc, Servers: servers, Grants: cfg.Grants.wanted(), Timeout: c.timeout}
	if err := c.delegated(&dc); err != nil {
		return doctor.Report{}, err
	}
	if !c.force {
		dc.Running = func(ctx context.Context) (found, ready bool, reason string) { return askRunning(ctx, cfg) }
	}
	return doctor.Examine(ctx, dc, show), nil
}

// delegated adds what the network wants to be delegated, and what it would say about it.
func (c *checkCommand) delegated(dc *doctor.Config) error {
	n, ok := c.p.network.(gateway.Delegated)
	if !ok || len(dc.Servers) == 0 {
		return nil
	}
	if n, ok := c.p.network.(gateway.Addressed); ok {
		n.UseDomain(dc.Component.Domain)
	}
	m, err := delegation.New(delegation.Config{JID: dc.Component.Domain, Servers: dc.Servers, Namespaces: n.Delegations()}, nil)
	if err != nil {
		return err
	}
	for _, ns := range m.Namespaces() {
		wanted := doctor.Grant{Right: doctor.RightDelegation, Namespace: ns}
		if !slices.ContainsFunc(dc.Grants, func(g doctor.Grant) bool { return g.Right == wanted.Right && g.Namespace == ns }) {
			dc.Grants = append(dc.Grants, wanted)
		}
	}
	dc.Shown = m
	return nil
}

// configFindings is the verdict on the configuration.
func configFindings(src source, cfg Config, warnings []string, err error) []doctor.Finding {
	if ps, ok := settings.As(err); ok {
		var list []doctor.Finding
		for _, p := range ps {
			list = append(list, doctor.Finding{Step: doctor.StepConfig, Verdict: doctor.Fail, Summary: p.Error()})
		}
		return list
	}
	where := "environment and flags"
	if src.file != "" {
		where = src.file
	}
	list := []doctor.Finding{{
		Step: doctor.StepConfig, Verdict: doctor.OK,
		Summary: fmt.Sprintf("%s: %s behind %s", where, cfg.Component.Domain, cfg.Component.Address),
	}}
	for _, w := range warnings {
		list = append(list, doctor.Finding{Step: doctor.StepConfig, Verdict: doctor.Warn, Summary: w})
	}
	return list
}

// askRunning asks the admin server of a gateway with this configuration, if there is one.
func askRunning(ctx context.Context, cfg Config) (found, ready bool, reason string) {
	if cfg.Admin.Listen == adminOff {
		return false, false, ""
	}
	host, port, err := net.SplitHostPort(cfg.Admin.Listen)
	if err != nil || port == "0" {
		return false, false, ""
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	const patience, most = 2 * time.Second, 1 << 16
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/readyz", nil)
	if err != nil {
		return false, false, ""
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return false, false, ""
	}
	defer func() { _ = resp.Body.Close() }()
	var st admin.Status
	if json.NewDecoder(io.LimitReader(resp.Body, most)).Decode(&st) != nil || st.Info["domain"] != cfg.Component.Domain.String() {
		return false, false, "" // something else
	}
	var reasons []string
	for _, c := range st.Checks {
		reasons = append(reasons, c.Name+" "+c.Reason)
	}
	return true, st.Ready, strings.Join(reasons, "; ")
}
