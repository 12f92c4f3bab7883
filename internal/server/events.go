package server

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/grading"
)

const eventStream = "text/event-stream"

// wantsEvents reports whether the caller would rather have events than JSON.
func wantsEvents(h http.Header) bool {
	return mostAccepted(strings.Join(h["Accept"], ","), "application/json", eventStream) == eventStream
}

// beginEvents sends the head of a stream of events, if it is not sent yet.
func (st *stream) beginEvents() {
	if st.Written() {
		return
	}
	h := st.Header()
	h["Content-Type"] = []string{eventStream}
	h["Cache-Control"] = noStore
	h["X-Accel-Buffering"] = []string{"no"} // or nginx would hold events back
	st.WriteHeaderNow()
}

// event sends one event. data is JSON in one line; fields are other lines of the
// event, as in "id: 3".
func (st *stream) event(name string, data []byte, fields ...string) error {
	st.beginEvents()
	var out bytes.Buffer
	for _, field := range fields {
		out.WriteString(field + "\n")
	}
	out.WriteString("event: " + name + "\ndata: ")
	out.Write(data)
	out.WriteString("\n\n")
	if _, err := st.Write(out.Bytes()); err != nil {
		return err
	}
	st.Flush()
	return nil
}

// ping shows that the stream is alive.
func (st *stream) ping() error { return st.event(api.EventPing, []byte("{}")) }

// problem ends a stream with a failure. There is no header any more that could
// say when to come back.
func (st *stream) problem(status int, wait time.Duration, body []byte) {
	var fields []string
	if passing(status) {
		fields = []string{"retry: " + strconv.Itoa(1000*seconds(wait))}
	}
	_ = st.event(api.EventProblem, body, fields...) // who has gone is not told
}

// gradeStream tells whoever waits for a grade of criteria as they are decided.
// It begins its reply with the first thing that there is to tell, so that what
// fails before then has its own status. Until stop returns it alone writes.
type gradeStream struct {
	*stream
	detail grading.Detail
	stop   func()

	mu      sync.Mutex
	waiting []grading.CriterionGrade // decided and not sent; at most one of each criterion
	over    bool
	news    chan struct{} // holds one: there is something waiting
}

// gradeStream makes a stream that has to be stopped.
func (s *Server) gradeStream(c *gin.Context, detail grading.Detail) *gradeStream {
	g := &gradeStream{stream: s.streamOf(c.Request.Context(), c), detail: detail, news: make(chan struct{}, 1)}
	exchangeOf(c).events = g.stream
	end, stopped := make(chan struct{}), make(chan struct{})
	g.stop = sync.OnceFunc(func() {
		g.mu.Lock()
		g.over = true
		g.mu.Unlock()
		close(end)
		<-stopped
	})
	go func() {
		defer close(stopped)
		g.run(end)
	}()
	return g
}

// decided takes a criterion to be sent. It never waits for the client, and the
// judge may go on calling it when this client has its grade or has gone.
func (g *gradeStream) decided(c grading.CriterionGrade) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.over {
		return
	}
	for i := range g.waiting {
		if g.waiting[i].ID == c.ID {
			g.waiting[i] = c // another view of it, before the first was sent
			return
		}
	}
	g.waiting = append(g.waiting, c)
	select {
	case g.news <- struct{}{}:
	default:
	}
}

// run sends what is decided until end, and then what was decided before it.
func (g *gradeStream) run(end <-chan struct{}) {
	idle := time.NewTicker(g.times.ping)
	defer idle.Stop()
	for {
		var err error
		select {
		case <-end:
			_ = g.tell() // who has gone is not told
			return
		case <-g.news:
			err = g.tell()
			idle.Reset(g.times.ping)
		case <-idle.C:
			err = g.ping()
		}
		if err != nil { // the client has gone, and the request's context with it
			<-end
			return
		}
	}
}

// tell sends what waits.
func (g *gradeStream) tell() error {
	g.mu.Lock()
	list := g.waiting
	g.waiting = nil
	g.mu.Unlock()
	for _, c := range (&grading.Grade{Criteria: list}).At(g.detail).Criteria {
		data, err := json.Marshal(c)
		if err != nil {
			return err
		}
		if err := g.event(api.EventCriterion, data); err != nil {
			return err
		}
	}
	return nil
}
