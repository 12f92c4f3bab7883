package main_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/llm/llmtest"
	"github.com/gradus-ai/gradus/internal/store/storetest"
)

// patience bounds every wait of these tests. It is no time that anything takes.
const patience = 30 * time.Second

// process is a `gradus serve` of its own: this test binary under the name of
// the program (see TestMain).
type process struct {
	t   *testing.T
	cmd *exec.Cmd
	url string

	log  *lockedBuffer
	done chan struct{} // closed once it has ended
	err  error         // of its end
}

// String is the end of its log, for the message of a wait that fails: only then
// is it asked for.
func (p *process) String() string {
	log := p.log.String()
	return log[max(0, len(log)-2000):]
}

// startServe runs a service with these variables and nothing else of the
// environment, and waits until it is ready.
func startServe(t *testing.T, variables ...string) *process {
	t.Helper()
	return start(t, exec.Command(self(t), "serve"), variables...)
}

// startWorker is startServe for a `gradus worker`, which has no address.
func startWorker(t *testing.T, variables ...string) *process {
	t.Helper()
	return start(t, exec.Command(self(t), "worker"), variables...)
}

// self is where the program is.
func self(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("gradus")
	require.NoError(t, err)
	return path
}

func start(t *testing.T, cmd *exec.Cmd, variables ...string) *process {
	t.Helper()
	cmd.Env = append([]string{
		"HOME=" + t.TempDir(), "TMPDIR=" + os.TempDir(),
		"GRADUS_ADDR=127.0.0.1:0", "LOG_FORMAT=json", "LOG_LEVEL=debug",
	}, variables...)
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	p := &process{t: t, cmd: cmd, log: &lockedBuffer{}, done: make(chan struct{})}
	ready := make(chan string, 1)
	go func() {
		lines := bufio.NewReader(io.TeeReader(stderr, p.log))
		for {
			raw, err := lines.ReadBytes('\n')
			var line struct{ Msg, URL string }
			if json.Unmarshal(raw, &line) == nil && (line.Msg == "ready" || line.Msg == "working") {
				ready <- line.URL
			}
			if err != nil {
				break
			}
		}
		p.err = cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		<-p.done
	})
	select {
	case p.url = <-ready:
	case <-p.done:
		require.Fail(t, "the service ended at once", "%v\n%s", p.err, p.log)
	case <-time.After(patience):
		require.Fail(t, "the service is never ready", "%s", p.log)
	}
	return p
}

func (p *process) signal(sig os.Signal) {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(sig))
}

// exits waits for the end and returns the exit code.
func (p *process) exits() int {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		require.Fail(p.t, "the process does not end", "%s", p.log)
	}
	return p.cmd.ProcessState.ExitCode()
}

type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// request is a grade under way: sent is closed once all of it is written.
type request struct {
	sent <-chan struct{}
	done <-chan result
}

type result struct {
	grade api.Grade
	cache string
	err   error
}

// secretWord stands in every answer and must be found in no log.
const secretWord = "zanzibarquokka"

// ask posts an answer that this test's model likes.
func (p *process) ask(client *http.Client) request {
	sent, done := make(chan struct{}), make(chan result, 1)
	body, err := json.Marshal(api.GradeRequest{
		Answer: fmt.Sprintf("%s: %s. I would delete every alert that nobody acts on.", secretWord, p.t.Name()),
		Question: &api.Question{Question: "How would you make an exhausting rota bearable?", Criteria: []api.Criterion{
			{ID: "alerts", Statement: "Deletes alerts that nobody acts on", Weight: new(100.0)},
		}},
	})
	require.NoError(p.t, err)
	var once sync.Once
	ctx := httptrace.WithClientTrace(p.t.Context(), &httptrace.ClientTrace{
		WroteRequest: func(httptrace.WroteRequestInfo) { once.Do(func() { close(sent) }) },
	})
	go func() {
		var r result
		r.cache, r.err = post(ctx, client, p.url+"/v1/grades", body, &r.grade)
		done <- r
	}()
	return request{sent, done}
}

func post(ctx context.Context, client *http.Client, url string, body []byte, out any) (cache string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", err
	}
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("status %d: %s", resp.StatusCode, raw)
	}
	return resp.Header.Get("X-Cache"), json.Unmarshal(raw, out)
}

func (r request) ends(t *testing.T) result {
	t.Helper()
	select {
	case got := <-r.done:
		require.NoError(t, got.err)
		require.InDelta(t, 100, *got.grade.Score, 0)
		return got
	case <-time.After(patience):
		require.Fail(t, "the request was not answered")
		return result{}
	}
}

// likesIt is what the model says of every answer here.
var likesIt = llmtest.Reply(`{"criteria":[{"id":"c1","evidence":["delete every alert that nobody acts on"],"compare":"","verdict":"met","confidence":95}]}`)

func clientFor(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 256}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func TestTwoProcessesMakeOneCallForTwoHundredRequests(t *testing.T) {
	t.Parallel()
	const crowd = 200
	release := make(chan struct{})
	model := llmtest.New(t, llmtest.Hold(release, likesIt)) // a second call would fail the test
	set := []string{"OPENAI_BASE_URL=" + model.URL, "REDIS_URL=" + storetest.Shared(t).TCPURL()}
	processes := []*process{startServe(t, set...), startServe(t, set...)}
	client := clientFor(t)
	requests := make([]request, crowd)
	for i := range requests {
		requests[i] = processes[i%len(processes)].ask(client)
	}
	for _, r := range requests {
		<-r.sent
	}
	model.Arrived(1)
	close(release)

	sources, calls := map[string]int{}, 0
	for _, r := range requests {
		got := r.ends(t)
		sources[got.cache]++
		calls += got.grade.Usage.Calls
	}
	require.Equal(t, 1, model.Calls())
	require.Equal(t, 1, sources["miss"], "%v", sources)
	require.Equal(t, crowd-1, sources["shared"]+sources["hit"], "%v", sources)
	require.Equal(t, 1, calls, "what it cost is told once")
	for _, p := range processes {
		p.signal(syscall.SIGTERM)
	}
	for _, p := range processes {
		require.Equal(t, 0, p.exits())
		require.NotContains(t, strings.ToLower(p.log.String()), secretWord)
	}
}

func TestSIGTERMFinishesWhatIsInFlight(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	model := llmtest.New(t, llmtest.Hold(release, likesIt))
	p := startServe(t, "OPENAI_BASE_URL="+model.URL)
	r := p.ask(clientFor(t))
	model.Arrived(1)
	p.signal(syscall.SIGTERM)
	address := strings.TrimPrefix(p.url, "http://")
	require.Eventually(t, func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close() // accepted before the listener closed
		}
		return errors.Is(err, syscall.ECONNREFUSED)
	}, patience, 5*time.Millisecond, "new connections are refused")
	p.signal(syscall.SIGTERM) // an impatient operator loses nothing
	close(release)
	require.Equal(t, "miss", r.ends(t).cache)
	require.Equal(t, 0, p.exits())
}

func TestAnotherProcessTakesOverFromOneThatIsKilled(t *testing.T) {
	t.Parallel()
	model := llmtest.New(t, llmtest.Hang(), likesIt)
	set := []string{"OPENAI_BASE_URL=" + model.URL, "REDIS_URL=" + storetest.Shared(t).TCPURL()}
	leader, follower := startServe(t, set...), startServe(t, set...)
	client := clientFor(t)
	lost := leader.ask(client)
	model.Arrived(1)
	r := follower.ask(client)
	<-r.sent
	leader.signal(syscall.SIGKILL)
	began := time.Now()
	require.Error(t, (<-lost.done).err)
	require.Equal(t, "miss", r.ends(t).cache)
	// The lock of the dead outlives it by a lease of three seconds at most.
	require.Less(t, time.Since(began), 8*time.Second)
	require.Equal(t, 2, model.Calls())
	require.Equal(t, -1, leader.exits(), "killed")
}

func TestRunningOutOfFileDescriptorsPasses(t *testing.T) {
	t.Parallel()
	p := start(t, exec.Command("sh", "-c", `ulimit -n 64; exec "$0" serve`, self(t)))
	address := strings.TrimPrefix(p.url, "http://")
	var idle []net.Conn
	for range 200 {
		conn, err := net.Dial("tcp", address) // the kernel accepts them even so
		require.NoError(t, err)
		idle = append(idle, conn)
	}
	require.Eventually(t, func() bool { return strings.Contains(p.log.String(), "too many open files") }, patience, 5*time.Millisecond)
	for _, conn := range idle {
		require.NoError(t, conn.Close())
	}
	r := p.ask(clientFor(t)) // judged lexically
	select {
	case got := <-r.done:
		require.NoError(t, got.err)
	case <-time.After(patience):
		require.Fail(t, "the service does not recover")
	}
	p.signal(syscall.SIGTERM)
	require.Equal(t, 0, p.exits())
}
