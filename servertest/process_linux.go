package servertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/postern-im/postern/docker"
)

// processes is the backend of child processes: the servers of the machine's own packages, each with its data below a temporary folder.
// Linux only, since only there a child can be told to end with its parent.
type processes struct{}

func newProcesses() (backend, error) {
	sweepFolders()
	return processes{}, nil
}

func (processes) host() string   { return "127.0.0.1" }
func (processes) listen() string { return "127.0.0.1" }

// process is a server as a child process.
type process struct {
	dir        string // entry point, data, log
	env        []string
	args       []string
	credential *syscall.Credential // nil: as ourselves
	logFile    *os.File
	pid        int
	done       <-chan struct{}
	guests     atomic.Uint64 // programs that ran beside it
}

// folderPrefix begins the names of all temporary folders; the process id of their owner follows.
const folderPrefix = "postern-servertest-"

func (processes) close() {}

func (processes) prepare(_ context.Context, image string, _ io.Writer) error {
	return lookForPrograms(image)
}

func (processes) box(_ context.Context, m *machine, _ []int) (box, error) {
	if err := lookForPrograms(m.image); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", folderPrefix+strconv.Itoa(os.Getpid())+"-")
	if err != nil {
		return nil, err
	}
	p := &process{dir: dir, args: m.args}
	if err := p.prepare(m); err != nil {
		_ = p.remove(context.Background())
		return nil, err
	}
	return p, nil
}

func (p *process) prepare(m *machine) error {
	// The server's user has to get in, and it is another one than ours where we are root.
	if err := os.Chmod(p.dir, 0o755); err != nil { //nolint:gosec // as said
		return err
	}
	data, entry := filepath.Join(p.dir, "data"), filepath.Join(p.dir, "entry")
	if err := extract(m.image, entry); err != nil {
		return err
	}
	if err := os.Mkdir(data, 0o755); err != nil { //nolint:gosec // we read the authority in it
		return err
	}
	p.env = append(os.Environ(), m.environ()...)
	p.env = append(p.env, "XMPP_DATA="+data, "PGDATA="+filepath.Join(data, "postgres"))
	if m.extra != "" {
		extra := filepath.Join(entry, "extra.conf")
		if err := os.WriteFile(extra, []byte(m.extra), 0o644); err != nil { //nolint:gosec // for another user
			return err
		}
		p.env = append(p.env, "XMPP_EXTRA="+extra)
	}
	var err error
	if p.logFile, err = os.OpenFile(filepath.Join(p.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o644); err != nil { //nolint:gosec // a log of tests
		return err
	}
	if os.Getuid() != 0 {
		return nil
	}
	account, err := user.Lookup(m.user)
	if err != nil {
		return err
	}
	uid, err := strconv.ParseUint(account.Uid, 10, 32)
	if err != nil {
		return err
	}
	gid, err := strconv.ParseUint(account.Gid, 10, 32)
	if err != nil {
		return err
	}
	p.credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return os.Chown(data, int(uid), int(gid))
}

// extract writes the image's folder, with what the images share, into dir.
func extract(image, dir string) error {
	files, err := contextFiles(image)
	if err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil { //nolint:gosec // for another user
		return err
	}
	for _, name := range files {
		data, err := fs.ReadFile(docker.Files, name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(name)), data, 0o755); err != nil { //nolint:gosec // a script for another user
			return err
		}
	}
	return nil
}

func (p *process) command(ctx context.Context, entry string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "bash", append([]string{filepath.Join(p.dir, entry, "entrypoint.sh")}, args...)...)
	cmd.Dir, cmd.Env = filepath.Join(p.dir, "data"), p.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.credential, Setpgid: true, Pdeathsig: syscall.SIGKILL}
	return cmd
}

func (p *process) start(context.Context) error {
	cmd := p.command(context.Background(), "entry", p.args...) // it outlives the caller's context
	cmd.Stdout, cmd.Stderr = p.logFile, p.logFile
	done, err := launch(cmd)
	if err != nil {
		return err
	}
	p.pid, p.done = cmd.Process.Pid, done
	return nil
}

// launch starts a command; the channel is closed when it has ended.
func launch(cmd *exec.Cmd) (<-chan struct{}, error) {
	started, done := make(chan error), make(chan struct{})
	go func() {
		// The kernel sends the parent-death signal when the thread ends that started the child, so this goroutine keeps its thread.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		started <- nil
		_ = cmd.Wait() // how it ended is seen in its log
		close(done)
	}()
	return done, <-started
}

func (p *process) beside(_ context.Context, image string) (*conversation, error) {
	if err := lookForPrograms(image); err != nil {
		return nil, err
	}
	entry := filepath.Base(image) + "-" + strconv.FormatUint(p.guests.Add(1), 10)
	if err := extract(image, filepath.Join(p.dir, entry)); err != nil {
		return nil, err
	}
	cmd := p.command(context.Background(), entry) // it outlives the caller's context
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	// Not StdoutPipe, which Wait closes while its last lines are still to be read.
	out, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	said, err := os.Create(filepath.Join(p.dir, entry, "log"))
	if err != nil {
		out.Close()
		w.Close()
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = w, said
	done, err := launch(cmd)
	w.Close()
	if err != nil {
		out.Close()
		said.Close()
		return nil, err
	}
	return &conversation{
		in: in, out: out,
		log: func() string { text, _ := os.ReadFile(said.Name()); return string(text) },
		end: func() {
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			<-done
			out.Close()
			said.Close()
		},
	}, nil
}

func (p *process) exited() <-chan struct{} { return p.done }

func (p *process) signal(ctx context.Context, sig signal) error {
	number, ok := map[signal]syscall.Signal{
		sigTerm: syscall.SIGTERM, sigInt: syscall.SIGINT, sigKill: syscall.SIGKILL,
		sigStop: syscall.SIGSTOP, sigContinue: syscall.SIGCONT,
	}[sig]
	if !ok {
		return fmt.Errorf("no signal %d", sig)
	}
	select {
	case <-p.done:
		return nil
	default:
	}
	if sig == sigTerm || sig == sigInt { // in order, a server ends its own helpers; else they go and stay with it
		return tell(p.pid, number)
	}
	// Postgres' helpers lead groups of their own. While their parent stands still none is added.
	if err := tell(-p.pid, syscall.SIGSTOP); err != nil {
		return err
	}
	helpers := descendants(p.pid)
	for _, pid := range append(helpers, -p.pid) {
		if err := tell(pid, number); err != nil {
			return err
		}
	}
	if sig == sigKill {
		return gone(ctx, helpers)
	}
	return nil
}

// tell sends a signal to whoever is still there.
func tell(pid int, number syscall.Signal) error {
	if err := syscall.Kill(pid, number); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return nil
}

// stat returns the parent and the state of a process; 0 if there is none.
func stat(pid int) (parent int, state string) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0, ""
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:])) // the name before it may hold anything
	if len(fields) < 2 {
		return 0, ""
	}
	parent, _ = strconv.Atoi(fields[1])
	return parent, fields[0]
}

// descendants returns the children of a process, theirs, and so on.
func descendants(pid int) []int {
	children := make(map[int][]int)
	names, _ := filepath.Glob("/proc/[0-9]*")
	for _, name := range names {
		if child, err := strconv.Atoi(filepath.Base(name)); err == nil {
			parent, _ := stat(child)
			children[parent] = append(children[parent], child)
		}
	}
	all := children[pid]
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i]]...)
	}
	return all
}

// gone waits until processes have ended, reaped or not.
func gone(ctx context.Context, pids []int) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for _, pid := range pids {
		for {
			if _, state := stat(pid); state == "" || state == "Z" {
				break
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return fmt.Errorf("process %d is still there", pid)
			}
		}
	}
	return nil
}

func (p *process) exec(ctx context.Context, args ...string) (string, error) {
	cmd := p.command(ctx, "entry", args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

func (p *process) file(_ context.Context, name string) ([]byte, error) {
	return os.ReadFile(filepath.Join(p.dir, "data", filepath.FromSlash(name)))
}

func (p *process) log(context.Context) (string, error) {
	text, err := os.ReadFile(p.logFile.Name())
	return string(text), err
}

func (p *process) remove(ctx context.Context) error {
	if p.done != nil {
		if err := p.signal(ctx, sigKill); err != nil {
			return err
		}
		<-p.done
	}
	if p.logFile != nil {
		p.logFile.Close()
	}
	return os.RemoveAll(p.dir)
}

// lookForPrograms says what an image's server needs and the machine lacks.
func lookForPrograms(image string) error {
	var missing []string
	for _, program := range map[string][]string{
		"prosody":  {"bash", "openssl", "prosody", "prosodyctl"},
		"ejabberd": {"bash", "openssl", "erl", "/usr/lib/*/ejabberd-[0-9]*"},
		"postgres": {"bash", "/usr/lib/postgresql/*/bin/postgres"},
		"slixmpp":  {"bash", "/usr/lib/python3/dist-packages/slixmpp"},
	}[image] {
		_, err := exec.LookPath(program)
		if found, _ := filepath.Glob(program); err != nil && len(found) == 0 {
			missing = append(missing, program)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("%w: this machine lacks %s", ErrNoServers, strings.Join(missing, ", "))
	}
	return nil
}

// sweepFolders removes what processes left behind that were killed before they could clean up.
func sweepFolders() {
	folders, _ := filepath.Glob(filepath.Join(os.TempDir(), folderPrefix+"*"))
	for _, folder := range folders {
		owner, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(folder), folderPrefix), "-")
		if pid, err := strconv.Atoi(owner); err == nil && !alive(pid) {
			_ = os.RemoveAll(folder)
		}
	}
}
