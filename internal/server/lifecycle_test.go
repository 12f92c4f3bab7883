package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/judge"
)

// served is a server behind its own listener, with its own http.Server.
type served struct {
	*Server
	addr   string
	grader *grader
	ended  chan error
}

func serve(t *testing.T, change ...func(*Config, *Server)) *served {
	t.Helper()
	s := &served{grader: &grader{}, ended: make(chan error, 1)}
	cfg := Config{Grader: s.grader, Library: library(t), Log: slog.New(slog.DiscardHandler)}
	for _, f := range change {
		f(&cfg, nil)
	}
	var err error
	s.Server, err = New(cfg)
	require.NoError(t, err)
	for _, f := range change {
		f(&cfg, s.Server)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s.addr = l.Addr().String()
	go func() { s.ended <- s.Serve(l) }()
	t.Cleanup(func() { _ = s.http.Close() })
	return s
}

func (s *served) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", s.addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	// A bound for the test itself; nothing below waits for it.
	require.NoError(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	return conn
}

func TestEveryTimeoutOfAConnectionIsSet(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config, _ *Server) { c.GradeTimeout = 200 * time.Second })
	require.Equal(t, 5*time.Second, s.http.ReadHeaderTimeout)
	require.Equal(t, 30*time.Second, s.http.ReadTimeout)
	require.Greater(t, s.http.WriteTimeout, 200*time.Second+s.http.ReadTimeout)
	require.NotZero(t, s.http.IdleTimeout)
	require.NotZero(t, s.http.MaxHeaderBytes)
}

func TestSlowHeadersAreCutOff(t *testing.T) {
	t.Parallel()
	s := serve(t, func(_ *Config, s *Server) {
		if s != nil {
			s.http.ReadHeaderTimeout = 50 * time.Millisecond
		}
	})
	conn := s.dial(t)
	_, err := io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ")
	require.NoError(t, err)
	_, err = conn.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF, "the server hangs up")
}

func TestStalledBodyIsAProblem(t *testing.T) {
	t.Parallel()
	s := serve(t, func(_ *Config, s *Server) {
		if s != nil {
			s.http.ReadTimeout = 50 * time.Millisecond
		}
	})
	conn := s.dial(t)
	_, err := io.WriteString(conn, "POST /v1/grades HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"ans")
	require.NoError(t, err)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	require.Equal(t, http.StatusRequestTimeout, resp.StatusCode)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Contains(t, string(body), api.BodyTimeout.Type)
	require.True(t, resp.Close)
}

// Fault 49. Whoever drips headers or bodies is cut off in time and keeps nobody
// from being graded, however little the service takes on at once.
func TestManySlowClientsKeepNobodyWaiting(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config, s *Server) {
		c.MaxInFlight = 2
		if s != nil {
			s.http.ReadHeaderTimeout, s.http.ReadTimeout = 3*time.Second, 3*time.Second
		}
	})
	var slow []net.Conn
	for i := range 200 {
		conn := s.dial(t)
		slow = append(slow, conn)
		sent := "POST /v1/grades HTTP/1.1\r\nHost: x\r\nX-Slow: "
		if i%2 == 0 {
			sent = "POST /v1/grades HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"ans"
		}
		_, err := io.WriteString(conn, sent)
		require.NoError(t, err)
	}
	for range 20 {
		resp, err := http.Post("http://"+s.addr+"/v1/grades", "application/json", strings.NewReader(asked))
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusOK, resp.StatusCode)
	}
	for _, conn := range slow {
		_, err := io.Copy(io.Discard, conn)
		if err != nil {
			require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "the server hangs up")
		}
	}
}

// The time to read a body must not run on while a grade is made: its end would
// look like the client's going away. net/http sees to that once the body is
// read to its end.
func TestGradingMayTakeLongerThanReadingTheBody(t *testing.T) {
	t.Parallel()
	const bodyTime = 50 * time.Millisecond
	s := serve(t, func(_ *Config, s *Server) {
		if s != nil {
			s.http.ReadTimeout = bodyTime
		}
	})
	s.grader.grade = func(ctx context.Context, _ grading.Request) (grading.Result, error) {
		timer := time.NewTimer(5 * bodyTime) // what is under test is the clock itself
		defer timer.Stop()
		select {
		case <-ctx.Done():
			return grading.Result{}, ctx.Err()
		case <-timer.C:
			return grading.Result{Record: record(judge.Usage{}), Source: grading.Miss}, nil
		}
	}
	resp, err := http.Post("http://"+s.addr+"/v1/grades", "application/json", strings.NewReader(asked))
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	require.Equal(t, http.StatusOK, resp.StatusCode)
}

func TestEndlessBodyIsRefusedInFlatMemory(t *testing.T) {
	// Not parallel: it reads the memory of the whole process.
	s := serve(t)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	body := &endless{}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.addr+"/v1/grades", body)
	require.NoError(t, err)
	req.ContentLength = -1 // chunked
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err == nil { // the reply may also be lost in the reset of the connection
		defer func() { _ = resp.Body.Close() }()
		require.Equal(t, http.StatusRequestEntityTooLarge, resp.StatusCode)
		require.True(t, resp.Close)
	}
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(16<<20))
	require.Less(t, body.sent.Load(), int64(1<<28), "the server went on reading")
	require.Zero(t, s.grader.calls())
}

// endless is a JSON string of a gigabyte.
type endless struct{ sent atomic.Int64 }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'a'
	}
	switch sent := e.sent.Add(int64(len(p))) - int64(len(p)); {
	case sent == 0:
		copy(p, `{"answer":"`)
	case sent > 1<<30:
		return 0, io.EOF
	}
	return len(p), nil
}

func TestAnnouncedLargeBodyIsRefusedUnread(t *testing.T) {
	t.Parallel()
	s := serve(t)
	conn := s.dial(t)
	_, err := fmt.Fprintf(conn, "POST /v1/grades HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", 1<<30)
	require.NoError(t, err)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	require.Equal(t, http.StatusRequestEntityTooLarge, resp.StatusCode, "not 100 Continue")
}

func TestShutdownFinishesWhatIsInProgressAndTakesNothingNew(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config, _ *Server) { c.DrainDelay = time.Minute })
	started, finish := make(chan struct{}), make(chan struct{})
	s.grader.grade = func(ctx context.Context, _ grading.Request) (grading.Result, error) {
		close(started)
		select {
		case <-finish:
			return grading.Result{Record: record(judge.Usage{}), Source: grading.Miss}, nil
		case <-ctx.Done():
			return grading.Result{}, ctx.Err()
		}
	}
	type outcome struct {
		status int
		err    error
	}
	inProgress := make(chan outcome, 1)
	go func() {
		resp, err := http.Post("http://"+s.addr+"/v1/grades", "application/json", strings.NewReader(asked))
		if err != nil {
			inProgress <- outcome{err: err}
			return
		}
		defer func() { _ = resp.Body.Close() }()
		_, err = io.ReadAll(resp.Body)
		inProgress <- outcome{resp.StatusCode, err}
	}()
	<-started

	// The delay before the listener closes ends with the grace: here, when the
	// test has seen that new work is refused.
	grace, endDelay := context.WithCancel(t.Context())
	down := make(chan error, 1)
	go func() { down <- s.Shutdown(grace) }()
	require.Eventually(t, s.draining.Load, 5*time.Second, time.Millisecond)

	ready, err := http.Get("http://" + s.addr + "/readyz")
	require.NoError(t, err)
	body, err := io.ReadAll(ready.Body)
	require.NoError(t, err)
	_ = ready.Body.Close()
	require.Equal(t, http.StatusServiceUnavailable, ready.StatusCode)
	require.Contains(t, string(body), `"draining"`)

	refused, err := http.Post("http://"+s.addr+"/v1/grades", "application/json", strings.NewReader(asked))
	require.NoError(t, err)
	_ = refused.Body.Close()
	require.Equal(t, http.StatusServiceUnavailable, refused.StatusCode)
	require.Equal(t, "5", refused.Header.Get("Retry-After"))

	close(finish)
	got := <-inProgress
	require.NoError(t, got.err)
	require.Equal(t, http.StatusOK, got.status)

	endDelay()
	if err := <-down; err != nil { // the last connection was not idle yet
		require.ErrorIs(t, err, context.Canceled)
	}
	require.NoError(t, <-s.ended)
	_, err = net.Dial("tcp", s.addr)
	require.Error(t, err)
}

func TestShutdownCancelsWhatOutlivesTheGrace(t *testing.T) {
	t.Parallel()
	s := serve(t)
	started, cancelled := make(chan struct{}), make(chan struct{})
	s.grader.grade = func(ctx context.Context, _ grading.Request) (grading.Result, error) {
		close(started)
		<-ctx.Done()
		close(cancelled)
		return grading.Result{}, ctx.Err()
	}
	go func() {
		resp, err := http.Post("http://"+s.addr+"/v1/grades", "application/json", strings.NewReader(asked))
		if err == nil {
			_ = resp.Body.Close()
		}
	}()
	<-started
	grace, cancel := context.WithCancel(t.Context())
	cancel()
	err := s.Shutdown(grace)
	require.True(t, errors.Is(err, context.Canceled), "%v", err)
	<-cancelled
}

func TestServerNeedsItsParts(t *testing.T) {
	t.Parallel()
	_, err := New(Config{})
	require.Error(t, err)
}
