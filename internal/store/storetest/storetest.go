// Package storetest gives tests a real Redis.
//
// A test binary starts one private redis-server, found on PATH, when its first
// test asks for it; every test gets a key prefix of its own. Tests that break
// the server start one for themselves. No server outlives the test binary,
// even one that was killed. Nothing is skipped: where redis-server is missing
// the test fails and says how to install it.
package storetest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Server is a running redis-server with an append-only file and noeviction. It
// listens on a Unix socket and on a random loopback port, with a password.
type Server struct {
	dir      string
	port     int
	password string
	args     []string

	mu       sync.Mutex
	process  *os.Process
	watchdog io.Closer
}

var shared struct {
	once   sync.Once
	server *Server
	err    error
}

// Shared is the server of this test binary. Do not stop it.
func Shared(t testing.TB) *Server {
	t.Helper()
	shared.once.Do(func() { shared.server, shared.err = start(nil) })
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.server
}

// Start runs a server for one test, which may do to it what it likes. args are
// added to the command line, as in "--appendonly", "no".
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	s, err := start(args)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	return s
}

var prefixes atomic.Uint64

// Prefix is a key prefix that no other test of this binary uses.
func Prefix(t testing.TB) string {
	t.Helper()
	return fmt.Sprintf("gradus-test-%d:", prefixes.Add(1))
}

// URL is how to reach the server over its socket.
func (s *Server) URL() string {
	return "unix://default:" + s.password + "@" + s.socket()
}

// TCPURL is how to reach the server over TCP.
func (s *Server) TCPURL() string {
	return "redis://default:" + s.password + "@" + s.Addr()
}

// Addr is the server's TCP address.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// Password of the user "default".
func (s *Server) Password() string { return s.password }

func (s *Server) socket() string { return filepath.Join(s.dir, "redis.sock") }

// Client connects to the server, for a test that wants to see or spoil what is
// in it. It is closed when the test ends.
func (s *Server) Client(t testing.TB) *redis.Client {
	t.Helper()
	options, err := redis.ParseURL(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	c := redis.NewClient(options)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// Kill9 ends the server as a crash would.
func (s *Server) Kill9() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kill()
}

// Restart starts a server that was killed, on the same data and address.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.run(); err != nil {
		t.Fatal(err)
	}
}

// Pause stops the server from answering; connections stay open and new ones
// are accepted, as with a machine that hangs. Resume ends that.
func (s *Server) Pause() { s.signal(syscall.SIGSTOP) }

// Resume lets a paused server go on.
func (s *Server) Resume() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(sig syscall.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process != nil {
		_ = s.process.Signal(sig) // a server that is gone needs no signal
	}
}

func start(args []string) (*Server, error) {
	dir, err := os.MkdirTemp("", "gradus-redis-") // short: a socket's path is limited to a hundred bytes
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, password: rand.Text(), args: args}
	// The port is free when asked for and may be taken a moment later.
	for range 5 {
		if s.port, err = freePort(); err != nil {
			break
		}
		if err = s.run(); err == nil {
			return s, nil
		}
	}
	s.stop()
	return nil, err
}

func freePort() (int, error) {
	var config net.ListenConfig
	l, err := config.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// run starts the process and waits until it answers.
func (s *Server) run() error {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return errors.New("these tests need redis-server on PATH: `make test` installs it, as do `apt-get install redis-server` and `brew install redis`")
	}
	log, err := os.Create(filepath.Join(s.dir, "redis.log"))
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the server has its own handle
	// No context: the server outlives the call, and the watchdog sees to its end.
	cmd := exec.CommandContext(context.Background(), path, append([]string{
		"--dir", s.dir, "--bind", "127.0.0.1", "--port", strconv.Itoa(s.port),
		"--unixsocket", s.socket(), "--unixsocketperm", "700", "--requirepass", s.password,
		"--appendonly", "yes", "--appendfsync", "everysec", "--maxmemory-policy", "noeviction", "--save", "",
	}, s.args...)...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start redis-server: %w", err)
	}
	s.process = cmd.Process
	if s.watchdog, err = watch(cmd.Process.Pid, s.dir); err != nil {
		s.kill()
		return err
	}
	if err := s.await(); err != nil {
		s.kill()
		text, _ := os.ReadFile(log.Name()) // best effort: it explains the error
		return fmt.Errorf("start redis-server: %w\n%s", err, text)
	}
	return nil
}

func (s *Server) await() error {
	options, err := redis.ParseURL(s.URL())
	if err != nil {
		return err
	}
	options.MaxRetries = -1
	c := redis.NewClient(options)
	defer func() { _ = c.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for {
		if err = c.Ping(ctx).Err(); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// watch kills the server and removes its files when this process has gone,
// however it went: the shell's input then ends.
func watch(pid int, dir string) (io.Closer, error) {
	cmd := exec.CommandContext(context.Background(), "sh", "-c", `read -r _; kill -9 "$0" 2>/dev/null; rm -rf "$1"`, strconv.Itoa(pid), dir)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	// A Ctrl-C at the terminal must not end the watchdog first.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start watchdog: %w", err)
	}
	return closer(func() error {
		// Called once the server is dead: the watchdog must do nothing more.
		_ = cmd.Process.Kill()
		_ = in.Close()
		_ = cmd.Wait() // says that it was killed
		return nil
	}), nil
}

type closer func() error

func (c closer) Close() error { return c() }

// kill ends the process and its watchdog. The caller holds mu.
func (s *Server) kill() {
	if s.process != nil {
		_ = s.process.Kill()
		_, _ = s.process.Wait()
		s.process = nil
	}
	if s.watchdog != nil {
		_ = s.watchdog.Close()
		s.watchdog = nil
	}
}

func (s *Server) stop() {
	s.Kill9()
	_ = os.RemoveAll(s.dir)
}
