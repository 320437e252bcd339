// Command bench measures an echo component end to end, beside floors that show what the machine allows: see
// docs/performance.md. All subjects run in turn, each as a process of its own, against one scripted XEP-0114 server on
// loopback; figures are medians over the rounds, and what counts are the ratios.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"time"
)

// stats is what a subject counts, and prints when its connection ends.
type stats struct {
	stanzas, writes uint64
}

// subjects are the programs measured. The floors come first.
var subjects = []struct { //nolint:gochecknoglobals // read-only table
	name string
	run  func(addr string, st *stats) error
}{
	{"raw", raw},
	{"tree", tree},
	{"xmltok", xmltok},
	{"component", bare},
	{"postern", postern},
}

func main() {
	rounds := flag.Int("rounds", 3, "rounds; figures are medians over them")
	seconds := flag.Float64("seconds", 2, "duration of each measurement")
	subject := flag.String("subject", "", "run as this subject (used by the program itself)")
	addr := flag.String("addr", "", "address of the server (used by the program itself)")
	only := flag.String("only", "", "comma-separated names of subjects to measure; empty: all")
	load := flag.String("load", "", "measure only loads whose name contains this")
	profile := flag.String("profile", "", "write a CPU profile of the last subject to this file")
	stall := flag.Duration("stall", 15*time.Second, "how long the peer of the first scenario does not read")
	asJSON := flag.Bool("json", false, "print the figures as JSON")
	flag.Parse()
	if *subject != "" {
		if err := child(*subject, *addr, *profile); err != nil {
			fmt.Fprintln(os.Stderr, *subject+":", err)
			os.Exit(1)
		}
		return
	}
	rs, err := measureAll(*rounds, time.Duration(*seconds*float64(time.Second)), *only, *load, *profile)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	if *asJSON {
		_ = json.NewEncoder(os.Stdout).Encode(rs)
		return
	}
	report(os.Stdout, rs)
	if err := runScenarios(os.Stdout, *stall); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// child runs one subject until the server ends its connection, then prints what it counted.
func child(name, addr, profile string) error {
	if profile != "" {
		f, err := os.Create(profile)
		if err != nil {
			return err
		}
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer func() {
			pprof.StopCPUProfile()
			_ = f.Close()
		}()
	}
	for _, s := range subjects {
		if s.name == name {
			var st stats
			err := s.run(addr, &st)
			_, _ = fmt.Fprintf(os.Stdout, "%d %d\n", st.stanzas, st.writes)
			return err
		}
	}
	return fmt.Errorf("no subject %q", name)
}

// Figures of one subject under one load.
type Figures struct {
	Subject, Load   string
	PerSecond       float64 // stanzas
	CPUPerStanza    float64 // microseconds of the subject's CPU, user and system
	WritesPerStanza float64
	IdleRSS, PeakMB float64 // MiB
}

// measurement is one load at one window.
type measurement struct {
	load   workload
	window int
}

func measureAll(rounds int, d time.Duration, only, load, profile string) ([]Figures, error) {
	ms := []measurement{
		{echoLoad(1000, 100), 256},
		{echoLoad(1, 1), 256},
		{mixedLoad(1000, 100), 256},
		{echoLoad(1000, 100), 1},
	}
	ms[3].load.name += ", window 1"
	var out []Figures
	for _, m := range ms {
		if !strings.Contains(m.load.name+".", load) { // "users." is not "users, window 1."
			continue
		}
		all := make(map[string][]Figures)
		for range rounds {
			for _, s := range subjects {
				if only != "" && !slices.Contains(strings.Split(only, ","), s.name) {
					continue
				}
				f, err := measure(s.name, m, d, profile)
				if err != nil {
					return nil, fmt.Errorf("%s, %s: %w", s.name, m.load.name, err)
				}
				all[s.name] = append(all[s.name], f)
				fmt.Fprintf(os.Stderr, "%-10s %-22s %9.0f/s %7.2f us CPU %8.4f writes\n", f.Subject, f.Load, f.PerSecond, f.CPUPerStanza, f.WritesPerStanza)
			}
		}
		for _, s := range subjects {
			if fs := all[s.name]; len(fs) > 0 {
				out = append(out, median(fs))
			}
		}
	}
	return out, nil
}

func median(fs []Figures) Figures {
	pick := func(get func(*Figures) *float64, m *Figures) {
		var vs []float64
		for i := range fs {
			vs = append(vs, *get(&fs[i]))
		}
		slices.Sort(vs)
		*get(m) = vs[len(vs)/2]
	}
	m := fs[0]
	pick(func(f *Figures) *float64 { return &f.PerSecond }, &m)
	pick(func(f *Figures) *float64 { return &f.CPUPerStanza }, &m)
	pick(func(f *Figures) *float64 { return &f.WritesPerStanza }, &m)
	pick(func(f *Figures) *float64 { return &f.IdleRSS }, &m)
	pick(func(f *Figures) *float64 { return &f.PeakMB }, &m)
	return m
}

// process is a subject that runs.
type process struct {
	cmd  *exec.Cmd
	pipe *bufio.Reader
	link *link
}

// launch starts a subject and takes its link.
func launch(name, profile string) (_ *process, err error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // closed below
	if err != nil {
		return nil, err
	}
	defer ln.Close() //nolint:errcheck // nothing to lose
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, "-subject", name, "-addr", ln.Addr().String(), "-profile", profile) //nolint:noctx // it ends with its connection
	cmd.Stderr = os.Stderr
	return start(cmd, ln)
}

// start starts a component and takes its link.
func start(cmd *exec.Cmd, ln net.Listener) (*process, error) {
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, pipe: bufio.NewReader(pipe)}
	if p.link, err = accept(ln); err != nil {
		p.kill()
		return nil, err
	}
	return p, nil
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// end ends the link and returns what the subject counted.
func (p *process) end() (st stats, err error) {
	if err := p.link.conn.(*net.TCPConn).CloseWrite(); err != nil {
		return st, err
	}
	line, err := p.pipe.ReadString('\n')
	if err != nil {
		return st, fmt.Errorf("the subject's counts: %w", err)
	}
	if _, err := fmt.Sscan(line, &st.stanzas, &st.writes); err != nil {
		return st, err
	}
	_ = p.link.conn.Close()
	return st, p.cmd.Wait()
}

// measure runs one subject once.
func measure(name string, m measurement, d time.Duration, profile string) (f Figures, err error) {
	p, err := launch(name, profile)
	if err != nil {
		return f, err
	}
	defer func() {
		if err != nil {
			p.kill()
		}
	}()
	f = Figures{Subject: name, Load: m.load.name, IdleRSS: p.memory("VmRSS")}
	if err := p.link.check(m.load); err != nil {
		return f, err
	}
	if _, err := p.link.run(m.load, m.window, d/4); err != nil { // warm up
		return f, err
	}
	before := p.cpu()
	r, err := p.link.run(m.load, m.window, d)
	if err != nil {
		return f, err
	}
	f.CPUPerStanza = float64((p.cpu() - before).Microseconds()) / float64(r.stanzas)
	f.PerSecond = float64(r.stanzas) / r.wall.Seconds()
	f.PeakMB = p.memory("VmHWM")
	st, err := p.end()
	f.WritesPerStanza = float64(st.writes) / float64(st.stanzas)
	return f, err
}

// runScenarios prints what each scenario cost.
func runScenarios(out io.Writer, stall time.Duration) error {
	for _, s := range scenarios(stall) {
		p, err := launch("postern", "")
		if err != nil {
			return err
		}
		text, err := s.run(p, p.link)
		p.kill()
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		fmt.Fprintf(out, "- %s: %s\n", s.name, text)
	}
	mb, err := idleGateway()
	if err != nil {
		return fmt.Errorf("gateway run: %w", err)
	}
	fmt.Fprintf(out, "- gateway run, idle, with everything that the program has: %.1f MiB\n", mb)
	return nil
}

// cpu returns the CPU time that the process has used, user and system; 0 where the system does not tell.
func (p *process) cpu() time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	s := string(b)
	fields := strings.Fields(s[strings.LastIndexByte(s, ')')+1:])
	utime, err1 := strconv.ParseInt(fields[11], 10, 64)
	stime, err2 := strconv.ParseInt(fields[12], 10, 64)
	if err1 != nil || err2 != nil {
		return 0
	}
	const perTick = 10 * time.Millisecond // USER_HZ is 100
	return time.Duration(utime+stime) * perTick
}

// memory returns a figure of /proc/PID/status in MiB; 0 where the system does not tell.
func (p *process) memory(key string) float64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, key+":"); ok {
			kb, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kb / 1024
		}
	}
	return 0
}

// report prints the table that docs/performance.md shows.
func report(out *os.File, fs []Figures) {
	fmt.Fprintf(out, "%s %s/%s, %d cores\n\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	fmt.Fprintln(out, "| load | subject | stanzas/s | x xmltok | CPU us/stanza | x xmltok | x raw | writes/stanza | idle MiB | peak MiB |")
	fmt.Fprintln(out, "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|")
	at := func(load, subject string) (f Figures) {
		for _, c := range fs {
			if c.Load == load && c.Subject == subject {
				return c
			}
		}
		return f
	}
	for _, f := range fs {
		x, r := at(f.Load, "xmltok"), at(f.Load, "raw")
		fmt.Fprintf(out, "| %s | %s | %.0f | %.2f | %.2f | %.2f | %.2f | %.4f | %.1f | %.1f |\n", f.Load, f.Subject, f.PerSecond,
			f.PerSecond/x.PerSecond, f.CPUPerStanza, f.CPUPerStanza/x.CPUPerStanza, f.CPUPerStanza/r.CPUPerStanza, f.WritesPerStanza, f.IdleRSS, f.PeakMB)
	}
}
