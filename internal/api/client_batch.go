package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Media types of an upload.
const (
	MediaJSON   = "application/json"
	MediaNDJSON = "application/x-ndjson"
	MediaCSV    = "text/csv"
)

// IdempotencyKey makes a POST safe to repeat: the same key with the same body is
// accepted once.
func IdempotencyKey(key string) Option {
	return func(r *http.Request) { r.Header.Set("Idempotency-Key", key) }
}

// CreateBatch sends the answers in body, which is of one of the media types
// above. The options go into the query; o.DryRun is not for this call.
func (c *Client) CreateBatch(ctx context.Context, body io.Reader, media string, o BatchOptions, options ...Option) (*Batch, error) {
	o.DryRun = false
	return upload[Batch](ctx, c, body, media, o, options)
}

// EstimateBatch checks the answers in body as CreateBatch would, and says what
// grading them would take. Nothing is accepted.
func (c *Client) EstimateBatch(ctx context.Context, body io.Reader, media string, o BatchOptions, options ...Option) (*BatchEstimate, error) {
	o.DryRun = true
	return upload[BatchEstimate](ctx, c, body, media, o, options)
}

func upload[T any](ctx context.Context, c *Client, body io.Reader, media string, o BatchOptions, options []Option) (*T, error) {
	u := c.base.JoinPath("v1", "batches")
	u.RawQuery = o.query().Encode()
	return exchange[T](ctx, c, http.MethodPost, u, body, options, "Content-Type", media)
}

// query is the options as parameters.
func (o *BatchOptions) query() url.Values {
	q := url.Values{}
	for name, value := range map[string]string{
		"judge": o.Judge, "fallback": o.Fallback, "detail": string(o.Detail), "question_id": o.QuestionID,
		"webhook_url": o.WebhookURL, "on_error": o.OnError,
	} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if o.MaxCost != nil {
		q.Set("max_cost", strconv.FormatFloat(*o.MaxCost, 'f', -1, 64))
	}
	if o.DryRun {
		q.Set("dry_run", "1")
	}
	return q
}

// Batch says how a batch is doing.
func (c *Client) Batch(ctx context.Context, id string) (*Batch, error) {
	return call[Batch](ctx, c, http.MethodGet, c.batchPath(id), nil, nil)
}

// CancelBatch ends a batch; what is graded stays readable.
func (c *Client) CancelBatch(ctx context.Context, id string) (*Batch, error) {
	return call[Batch](ctx, c, http.MethodDelete, c.batchPath(id), nil, nil)
}

// PurgeBatch ends a batch and erases it, and returns it as it was.
func (c *Client) PurgeBatch(ctx context.Context, id string) (*Batch, error) {
	u := c.batchPath(id)
	u.RawQuery = "purge=1"
	return call[Batch](ctx, c, http.MethodDelete, u, nil, nil)
}

func (c *Client) batchPath(id string, more ...string) *url.URL {
	return c.base.JoinPath(append([]string{"v1", "batches", url.PathEscape(id)}, more...)...)
}

// Results yields the results of a batch in the order of the upload: those there
// are, or with wait all of them, as they come. A connection that is lost is made
// again where the last row was; an error is the last thing yielded.
func (c *Client) Results(ctx context.Context, id string, wait bool) iter.Seq2[ResultRow, error] {
	return func(yield func(ResultRow, error) bool) {
		from, r := 0, retries{}
		for {
			err := c.resultsFrom(ctx, id, wait, from, &r, func(row ResultRow) bool {
				from, r.failures = row.Index+1, 0
				return yield(row, nil)
			})
			if err == nil || errors.Is(err, errStopped) {
				return
			}
			if !r.again(ctx, err) {
				yield(ResultRow{}, err)
				return
			}
		}
	}
}

// errStopped is for a reader of rows or events that wants no more.
var errStopped = errors.New("stopped")

// resultsFrom gives the rows of one connection to take until that returns false.
func (c *Client) resultsFrom(ctx context.Context, id string, wait bool, from int, r *retries, take func(ResultRow) bool) error {
	u := c.batchPath(id, "results")
	q := url.Values{}
	if wait {
		q.Set("wait", "1")
	}
	if from > 0 {
		q.Set("from", strconv.Itoa(from))
	}
	u.RawQuery = q.Encode()
	resp, err := c.send(ctx, http.MethodGet, u, nil, nil, "Accept", MediaNDJSON)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // nothing was written: closing cannot lose anything
	r.connected = true
	return eachLine(resp.Body, func(line []byte) error {
		var row ResultRow
		if err := json.Unmarshal(line, &row); err != nil {
			return fmt.Errorf("decode a result of the service: %w", err)
		}
		if !take(row) {
			return errStopped
		}
		return nil
	})
}

// eachLine gives the lines of a stream to take, without white space around them
// and without those that are empty. A line that was cut off is not one.
func eachLine(r io.Reader, take func([]byte) error) error {
	in := bufio.NewReaderSize(r, 64<<10)
	var line []byte
	for {
		piece, err := in.ReadSlice('\n')
		line = append(line, piece...)
		switch {
		case len(line) > maxReply:
			return fmt.Errorf("read the service's reply: a line of more than %d bytes", maxReply)
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil && !errors.Is(err, io.EOF):
			return &cutOff{err}
		}
		if text := bytes.TrimSpace(line); len(text) > 0 {
			if err := take(text); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		line = line[:0]
	}
}

// cutOff is a connection lost in the middle of a reply.
type cutOff struct{ err error }

func (e *cutOff) Error() string { return "read the service's reply: " + e.err.Error() }
func (e *cutOff) Unwrap() error { return e.err }

// retries decides about trying again.
type retries struct {
	// connected is true once there was a connection: before that, a failure is
	// the caller's to deal with.
	connected bool
	failures  int // in a row
}

// mostFailures in a row end it, after about a minute.
const mostFailures = 9

// again waits before another try and reports whether there is to be one.
func (r *retries) again(ctx context.Context, err error) bool {
	wait := min(100*time.Millisecond<<r.failures, 15*time.Second)
	var problem *Problem
	if errors.As(err, &problem) {
		wait = max(wait, problem.RetryAfter)
	}
	r.failures++
	if !r.connected || r.failures > mostFailures || !lost(err) {
		return false
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// lost reports whether a connection broke or could not be made, or whether the
// service may be about to stop or to start.
func lost(err error) bool {
	var cut *cutOff
	var transport *url.Error
	var problem *Problem
	if errors.As(err, &problem) {
		switch problem.Status {
		case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout, http.StatusTooManyRequests:
			return true
		}
		return false
	}
	return errors.As(err, &cut) || errors.As(err, &transport)
}

// BatchEvent is one event of a batch.
type BatchEvent struct {
	// ID grows with every change; it is what to go on from.
	ID int64
	// Name is EventProgress or EventDone.
	Name  string
	Batch Batch
}

// Events yields the changes of a batch that come after the event with the id
// last seen (0 for none) and ends with EventDone. A connection that is lost, or
// silent for three pings, is made again; an error is the last thing yielded.
func (c *Client) Events(ctx context.Context, id string, lastEventID int64) iter.Seq2[BatchEvent, error] {
	return func(yield func(BatchEvent, error) bool) {
		var r retries
		for {
			err := c.eventsAfter(ctx, id, lastEventID, &r, func(e BatchEvent) bool {
				lastEventID = e.ID
				return yield(e, nil) && e.Name != EventDone
			})
			if errors.Is(err, errStopped) {
				return
			}
			if err == nil { // ended before the batch was: told to come back
				err = &cutOff{io.ErrUnexpectedEOF}
			}
			if !r.again(ctx, err) {
				yield(BatchEvent{}, err)
				return
			}
		}
	}
}

// silence is how long a stream of events may say nothing: three pings.
const silence = 45 * time.Second

// eventsAfter gives the events of one connection to take until that returns
// false.
func (c *Client) eventsAfter(ctx context.Context, id string, last int64, r *retries, take func(BatchEvent) bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	resp, err := c.send(ctx, http.MethodGet, c.batchPath(id, "events"), nil, nil, "Accept", "text/event-stream", "Last-Event-ID", strconv.FormatInt(last, 10))
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // nothing was written: closing cannot lose anything
	r.connected = true
	if resp.StatusCode == http.StatusNoContent {
		return errStopped // it was over when last looked at
	}
	watch := time.AfterFunc(silence, cancel)
	defer watch.Stop()
	var event BatchEvent
	return eachLine(resp.Body, func(line []byte) error {
		watch.Reset(silence)
		r.failures = 0
		field, value, _ := strings.Cut(string(line), ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "id":
			event.ID, err = strconv.ParseInt(value, 10, 64)
			if err != nil {
				return fmt.Errorf("decode an event of the service: %w", err)
			}
		case "event":
			event.Name = value
		case "data": // the last line of ours
			if event.Name != EventProgress && event.Name != EventDone {
				return nil
			}
			event.Batch = Batch{}
			if err := json.Unmarshal([]byte(value), &event.Batch); err != nil {
				return fmt.Errorf("decode an event of the service: %w", err)
			}
			if !take(event) {
				return errStopped
			}
		}
		return nil
	})
}
