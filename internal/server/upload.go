package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/batch"
	"github.com/gradus-ai/gradus/internal/rows"
	"github.com/gradus-ai/gradus/internal/rubric"
)

// maxUploads is how many batches are taken in at once: each holds some tens of
// megabytes while it is.
const maxUploads = 8

// createBatch answers POST /v1/batches. It reads every row, so that all faults
// are told at once; rows are staged on the way, where nobody sees them, and
// become a batch only when the last has been read and none stands in the way.
func (s *Server) createBatch(c *gin.Context) error {
	format, err := uploadFormat(c.Request.Header)
	if err != nil {
		return unread(c, err)
	}
	query, err := batchQuery(c.Request.URL.RawQuery)
	if err != nil {
		return unread(c, err)
	}
	key, err := idempotencyKey(c.Request.Header)
	if err != nil {
		return unread(c, err)
	}
	if s.uploads.Add(1) > maxUploads {
		s.uploads.Add(-1)
		return unread(c, fail(api.Overloaded, "Too many batches are being taken in at once."))
	}
	defer s.uploads.Add(-1)

	u := &upload{server: s, query: query, key: key, tenant: exchangeOf(c).tenant, fresh: wantsFresh(c.Request.Header), print: sha256.New()}
	if err := u.fingerprint(format); err != nil {
		return err
	}
	body, err := s.uploadBody(c)
	if err != nil {
		return unread(c, err)
	}
	u.rows = rows.NewReader(io.TeeReader(body, u.print), format, query.QuestionID)
	if err := u.take(c.Request.Context()); err != nil {
		return unread(c, uploadFailure(err))
	}
	defer u.draft.Discard(c.Request.Context())
	body.answer() // all is read; what is left to do is ours
	if u.options.DryRun {
		estimate := estimateOf(u.draft.Estimate())
		estimate.Skipped, estimate.Errors = u.faults.Rows, u.faults.List()
		return writeBatch(c, http.StatusOK, estimate)
	}
	b, replayed, err := u.draft.Commit(c.Request.Context(), hex.EncodeToString(u.print.Sum(nil)))
	if err != nil {
		return err
	}
	out := batchOf(b)
	out.Skipped, out.Errors = u.faults.Rows, u.faults.List()
	h := c.Writer.Header()
	h["Location"] = []string{"/v1/batches/" + b.ID}
	if replayed {
		h["Idempotency-Replayed"] = []string{"true"}
	}
	return writeBatch(c, http.StatusAccepted, out)
}

// uploadFailure is the failure of an upload that could not be taken to its end.
func uploadFailure(err error) error {
	var body *bodyError
	var limit *http.MaxBytesError
	var network net.Error
	switch {
	case errors.Is(err, rows.ErrTooMany):
		return fail(api.TooManyItems, fmt.Sprintf("The batch has more than %d answers.", api.MaxBatchItems))
	case !errors.As(err, &body):
		return err
	case errors.As(err, &limit):
		return tooLarge(api.MaxBatchBody)
	case errors.As(err, &network) && network.Timeout():
		return fail(api.BodyTimeout, "The body did not arrive in time.")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fail(api.MalformedBody, "The body ended before it was complete.", api.Fault{Detail: "the body is cut short"})
	default:
		return err
	}
}

// bodyError is an error of the caller's connection. A store that is lost while
// rows are staged fails in the same ways, and that is not the caller's doing.
type bodyError struct{ error }

func (e *bodyError) Unwrap() error { return e.error }

// upload is a batch on its way in.
type upload struct {
	server  *Server
	tenant  string
	key     string // idempotency key, or empty
	fresh   bool
	query   api.BatchOptions
	options api.BatchOptions // query and body together
	rows    *rows.Reader
	print   hash.Hash
	faults  rows.Faults
	taken   int // rows without a fault
	draft   *batch.Draft

	// Questions found so far: one of fifty thousand answers is looked up once,
	// and is the same for all of them however the library changes meanwhile.
	found  map[string]*rubric.Question
	inline map[[sha256.Size]byte]*rubric.Question
}

// fingerprint begins the digest of everything that makes a submission what it
// is: the rest of it is the body.
func (u *upload) fingerprint(format rows.Format) error {
	options, err := json.Marshal(u.query)
	if err != nil {
		return fmt.Errorf("fingerprint upload: %w", err)
	}
	_, _ = fmt.Fprintf(u.print, "%s\n%t\n%s\n", format, u.fresh, options)
	return nil
}

// take reads the whole upload. Unless it returns an error there is a draft with
// every row that is to be accepted.
func (u *upload) take(ctx context.Context) (err error) {
	defer func() {
		if err != nil && u.draft != nil {
			u.draft.Discard(ctx)
		}
	}()
	row, err := u.rows.Next()
	u.settle()
	if !u.faults.Any() { // of the options
		if err := u.begin(ctx); err != nil {
			return err
		}
	}
	for ; !errors.Is(err, io.EOF); row, err = u.rows.Next() {
		var fault *rows.Error
		switch {
		case errors.As(err, &fault):
			u.faults.Add(fault)
		case err != nil:
			return err
		default:
			if err := u.add(ctx, row); err != nil {
				return err
			}
		}
	}
	return u.verdict()
}

// settle puts the options together and checks them.
func (u *upload) settle() {
	u.options = u.query
	if body := u.rows.Options(); body != nil {
		u.options = merged(*body, u.query)
	}
	if faults := u.server.checkOptions(&u.options); faults != nil {
		u.faults.Add(&rows.Error{Whole: true, Faults: faults})
	}
}

// begin opens the draft.
func (u *upload) begin(ctx context.Context) (err error) {
	options := batch.Options{
		Judge: u.options.Judge, Fallback: u.options.Fallback == api.JudgeLexical, Fresh: u.fresh,
		Detail: string(u.options.Detail), MaxCost: u.options.MaxCost, WebhookURL: u.options.WebhookURL,
	}
	if u.options.DryRun {
		u.draft, err = u.server.cfg.Batches.DryRun(u.tenant, options)
	} else {
		u.draft, err = u.server.cfg.Batches.Begin(ctx, u.tenant, options, u.key)
	}
	return err
}

// add takes a row in, unless it can be told already that it would be in vain.
func (u *upload) add(ctx context.Context, row *rows.Row) error {
	question, faults := u.question(row)
	if faults != nil {
		u.faults.Add(&rows.Error{Faults: faults})
		return nil
	}
	if u.draft == nil || u.faults.Whole || (u.faults.Any() && u.options.OnError != api.OnErrorSkip) {
		return nil
	}
	err := u.draft.Add(ctx, row.Item.ID, row.Line, question, row.Item.Answer)
	var twice *batch.DuplicateError
	if errors.As(err, &twice) {
		u.faults.Add(&rows.Error{Faults: []api.Fault{row.Fault("/id", twice.Error())}})
		return nil
	}
	if err == nil {
		u.taken++
	}
	return err
}

// verdict is the failure of an upload whose faults stand in the way.
func (u *upload) verdict() error {
	if !u.faults.Any() || (u.options.OnError == api.OnErrorSkip && !u.faults.Whole && u.taken > 0) {
		return nil
	}
	listed := u.faults.List()
	kind, detail := api.InvalidRequest, fmt.Sprintf("The upload has %d faults; nothing was accepted.", u.faults.Count())
	if u.faults.Malformed {
		kind = api.MalformedBody
	}
	if len(listed) == 1 {
		detail = sentence(listed[0]) + " Nothing was accepted."
	}
	return fail(kind, detail, listed...)
}

// maxInline bounds how many inline questions are remembered at a time.
const maxInline = 128

// question is the question of a row, or its faults.
func (u *upload) question(row *rows.Row) (*rubric.Question, []api.Fault) {
	if row.Item.Question == nil {
		return u.find(row)
	}
	text, err := json.Marshal(row.Item.Question)
	if err != nil {
		return nil, []api.Fault{row.Fault("/question", "the question cannot be read")}
	}
	sum := sha256.Sum256(text)
	if q := u.inline[sum]; q != nil {
		return q, nil
	}
	q, err := inline(row.Item.Question)
	if err != nil {
		failed := classify(causes, err)
		faults := make([]api.Fault, len(failed.faults))
		for i, f := range failed.faults {
			faults[i] = row.Fault(f.Pointer, f.Detail)
		}
		return nil, faults
	}
	if u.inline == nil || len(u.inline) == maxInline {
		u.inline = make(map[[sha256.Size]byte]*rubric.Question)
	}
	u.inline[sum] = q
	return q, nil
}

// find finds the question that a row names.
func (u *upload) find(row *rows.Row) (*rubric.Question, []api.Fault) {
	if q := u.found[row.Item.QuestionID]; q != nil {
		return q, nil
	}
	q, err := u.server.cfg.Library.Find(row.Item.QuestionID)
	if err != nil {
		return nil, []api.Fault{row.Fault("/question_id", "there is no such question"+near(err))}
	}
	if u.found == nil {
		u.found = make(map[string]*rubric.Question)
	}
	u.found[q.Ref] = q
	return q, nil
}

// uploadBody is the body of an upload, bounded in length and in time.
func (s *Server) uploadBody(c *gin.Context) (*patientBody, error) {
	if c.Request.ContentLength > api.MaxBatchBody {
		return nil, tooLarge(api.MaxBatchBody)
	}
	return &patientBody{
		body:    http.MaxBytesReader(c.Writer, c.Request.Body, api.MaxBatchBody),
		control: http.NewResponseController(c.Writer),
		times:   s.times,
		left:    s.times.progress, until: time.Now().Add(s.times.upload),
	}, nil
}

// patience is how long the peer of a connection may take.
type patience struct {
	// progress is the time for every progressBytes of an upload. Only waiting
	// counts: what we take to stage rows is not the sender's fault.
	progress time.Duration
	// upload is the time for all of it. Staged rows are kept for an hour.
	upload time.Duration
	// write is the time to take what is sent, for each piece of a stream.
	write time.Duration
	// ping is how often an idle stream of events shows that it is alive.
	ping time.Duration
}

var patient = patience{progress: readTimeout, upload: 45 * time.Minute, write: writeSlack, ping: 15 * time.Second}

// progressBytes in progress is 8 KB a second, the speed of a bad mobile line.
const progressBytes = 256 << 10

// patientBody reads a body for as long as it keeps coming.
type patientBody struct {
	body    io.Reader
	control *http.ResponseController
	times   patience
	left    time.Duration // of the time for the next progressBytes
	got     int           // of them
	until   time.Time
}

func (p *patientBody) Read(b []byte) (int, error) {
	begun := time.Now()
	deadline := begun.Add(p.left)
	if deadline.After(p.until) {
		deadline = p.until
	}
	_ = p.control.SetReadDeadline(deadline) // a recorder in a test has none
	n, err := p.body.Read(b)
	p.left -= time.Since(begun)
	if p.got += n; p.got >= progressBytes {
		p.got, p.left = 0, p.times.progress
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = &bodyError{err}
	}
	return n, err
}

// commitTime is what accepting a batch may take once it has been read.
const commitTime = time.Minute

// answer makes room to answer however long the upload took.
func (p *patientBody) answer() {
	_ = p.control.SetWriteDeadline(time.Now().Add(commitTime + p.times.write))
}
