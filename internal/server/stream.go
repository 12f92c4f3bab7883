package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/batch"
	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/rows"
)

// stream is a reply that is sent as it comes about. Its context ends when the
// client goes or the service is about to.
type stream struct {
	gin.ResponseWriter
	ctx     context.Context
	control *http.ResponseController
	times   patience
}

func (s *Server) stream(c *gin.Context) (*stream, context.CancelFunc) {
	ctx, cancel := context.WithCancel(c.Request.Context())
	stop := context.AfterFunc(s.ending, cancel)
	return s.streamOf(ctx, c), func() { stop(); cancel() }
}

func (s *Server) streamOf(ctx context.Context, c *gin.Context) *stream {
	return &stream{ResponseWriter: c.Writer, ctx: ctx, control: http.NewResponseController(c.Writer), times: s.times}
}

// Write gives a slow reader time for this piece, however long the stream is.
func (st *stream) Write(p []byte) (int, error) {
	_ = st.control.SetWriteDeadline(time.Now().Add(st.times.write)) // a recorder in a test has none
	return st.ResponseWriter.Write(p)
}

// pause waits, and reports whether the stream goes on.
func (st *stream) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-st.ctx.Done():
		return false
	}
}

// sent ends a reply after an error. What has begun is broken off, so that it
// does not look complete; the connection is closed.
func (s *Server) sent(c *gin.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case !c.Writer.Written() && s.ending.Err() != nil:
		return fail(api.ShuttingDown, "No new replies are begun.")
	case !c.Writer.Written():
		return err
	}
	if c.Request.Context().Err() == nil && s.ending.Err() == nil {
		s.fail(c, err)
	}
	panic(http.ErrAbortHandler)
}

// batchResults answers GET /v1/batches/{id}/results.
func (s *Server) batchResults(c *gin.Context) error {
	query := c.Request.URL.Query()
	format, err := resultFormat(query, c.Request.Header.Get("Accept"))
	if err != nil {
		return err
	}
	wait, err := switched(query, "wait")
	if err != nil {
		return err
	}
	from, err := index(query, "from")
	if err != nil {
		return err
	}
	key, err := batchKey(c)
	if err != nil {
		return err
	}
	b, err := s.cfg.Batches.Get(c.Request.Context(), key)
	if err != nil {
		return err
	}
	h := c.Writer.Header()
	h["Cache-Control"] = noStore
	h["Vary"] = []string{"Accept"}
	h["Content-Type"] = []string{mediaOf(format)}
	if format == rows.CSV {
		h["Content-Disposition"] = []string{`attachment; filename="` + key.ID + `.csv"`}
	}
	if c.Request.Method == http.MethodHead {
		c.Writer.WriteHeaderNow()
		return nil
	}
	st, end := s.stream(c)
	defer end()
	r := &resultStream{stream: st, server: s, batch: b, next: from, out: rows.NewWriter(st, format)}
	return s.sent(c, r.run(wait))
}

// resultStream is the results of a batch on their way out.
type resultStream struct {
	*stream
	server *Server
	batch  *batch.Batch
	next   int // index of the first item that was not sent
	out    *rows.Writer
}

func (r *resultStream) run(wait bool) error {
	pace := newPace(r.batch, time.Now())
	for {
		over := r.batch.Status.Over() // asked before reading: then all there is to read is there
		if err := r.send(wait && !over); err != nil {
			return err
		}
		if over || !wait {
			break
		}
		r.WriteHeaderNow()
		if err := r.out.Flush(); err != nil {
			return err
		}
		r.Flush()
		if !r.pause(pace.next(r.batch, time.Now())) {
			return r.ctx.Err()
		}
		var err error
		if r.batch, err = r.server.cfg.Batches.Changed(r.ctx, r.batch.Key, r.batch.Version); err != nil {
			return err
		}
	}
	r.WriteHeaderNow()
	return r.out.Close()
}

// send sends the results there are. Where others are waited for it stops before
// the first that is missing, so that the order is that of the upload.
func (r *resultStream) send(untilGap bool) error {
	for result, err := range r.server.cfg.Batches.Results(r.ctx, r.batch.Key, r.next) {
		if err != nil {
			return err
		}
		if untilGap && result.Index != r.next {
			return nil
		}
		row, err := r.row(&result)
		if err != nil {
			return err
		}
		if err := r.out.Write(row); err != nil {
			return err
		}
		r.next = result.Index + 1
	}
	return nil
}

// row is a result as it is answered, at the detail of the batch.
func (r *resultStream) row(result *batch.Result) (*rows.Result, error) {
	row := &rows.Result{Index: result.Index, ID: result.ID, Status: api.RowStatus(result.Status)}
	if result.Grade == nil {
		row.Error = reasonOf(r.batch.Key, result)
		return row, nil
	}
	row.Grade = result.Grade
	if detail := grading.Detail(r.batch.Options.Detail); detail != "" && detail != grading.Full {
		var grade grading.Grade
		if err := json.Unmarshal(result.Grade, &grade); err != nil {
			return nil, fmt.Errorf("decode the grade of item %d: %w", result.Index, err)
		}
		reduced, err := json.Marshal(grade.At(detail))
		if err != nil {
			return nil, fmt.Errorf("encode the grade of item %d: %w", result.Index, err)
		}
		row.Grade = reduced
	}
	return row, nil
}

// batchEvents answers GET /v1/batches/{id}/events.
func (s *Server) batchEvents(c *gin.Context) error {
	key, err := batchKey(c)
	if err != nil {
		return err
	}
	b, err := s.cfg.Batches.Get(c.Request.Context(), key)
	if err != nil {
		return err
	}
	seen := lastEvent(c.Request.Header)
	if b.Status.Over() && seen >= b.Version {
		c.Status(http.StatusNoContent) // tells an EventSource to stay away
		return nil
	}
	st, end := s.stream(c)
	defer end()
	st.beginEvents()
	if c.Request.Method == http.MethodHead {
		return nil
	}
	err = s.follow(st, b, seen)
	if errors.Is(err, context.Canceled) {
		return nil // gone, or told to come back: a stream of events has no end that could be missed
	}
	return s.sent(c, err)
}

// follow sends an event for each change of a batch until it is over.
func (s *Server) follow(st *stream, b *batch.Batch, seen int64) error {
	if _, err := io.WriteString(st, "retry: 2000\n\n"); err != nil {
		return err
	}
	st.Flush()
	alive := time.Now()
	pace := newPace(b, alive)
	for {
		switch {
		case b.Version > seen:
			if err := sendEvent(st, b); err != nil {
				return err
			}
			seen, alive = b.Version, time.Now()
			if b.Status.Over() {
				return nil
			}
			if !st.pause(pace.next(b, time.Now())) {
				return st.ctx.Err()
			}
		case time.Since(alive) >= st.times.ping:
			if err := st.ping(); err != nil {
				return err
			}
			alive = time.Now()
		}
		next, err := s.changed(st, b, alive)
		if err != nil {
			return err
		}
		b = next
	}
}

// changed waits for another version of a batch, but not beyond the next ping.
func (s *Server) changed(st *stream, b *batch.Batch, alive time.Time) (*batch.Batch, error) {
	ctx, cancel := context.WithDeadline(st.ctx, alive.Add(st.times.ping))
	defer cancel()
	next, err := s.cfg.Batches.Changed(ctx, b.Key, b.Version)
	if err != nil && ctx.Err() != nil && st.ctx.Err() == nil {
		return b, nil // time for a ping
	}
	return next, err
}

func sendEvent(st *stream, b *batch.Batch) error {
	name := api.EventProgress
	if b.Status.Over() {
		name = api.EventDone
	}
	data, err := json.Marshal(batchOf(b))
	if err != nil {
		return fmt.Errorf("encode batch: %w", err)
	}
	return st.event(name, data, "id: "+strconv.FormatInt(b.Version, 10))
}

// lastEvent is the version of a batch that a client has seen, by the id of the
// last event it got; 0 where it has seen none or says something else.
func lastEvent(h http.Header) int64 {
	seen, err := strconv.ParseInt(h.Get("Last-Event-ID"), 10, 64)
	if err != nil || seen < 0 {
		return 0
	}
	return seen
}
