package llmtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// Batches plays the API for files and batches of requests beside the script:
// what is sent is answered line by line, once the test lets the batches end.
type Batches struct {
	server *Server
	answer func(Request) Step

	mu     sync.Mutex
	status string
	files  map[string][]byte
	made   []*madeBatch
	gone   int  // files
	fault  Step // what making a batch comes to besides; zero for nothing

	begun, looked int // batches made and looks at them; under server.mu
}

type madeBatch struct {
	ID       string         `json:"id"`
	Object   string         `json:"object"`
	Endpoint string         `json:"endpoint"`
	Status   string         `json:"status"`
	Input    string         `json:"input_file_id"`
	Output   *string        `json:"output_file_id"`
	Failures *string        `json:"error_file_id"`
	Errors   any            `json:"errors"`
	Metadata map[string]any `json:"metadata"`
	Counts   struct {
		Total     int `json:"total"`
		Completed int `json:"completed"`
		Failed    int `json:"failed"`
	} `json:"request_counts"`

	lines []batchLine
}

// TakeBatches makes the server take batches. answer is what becomes of each
// line; a line with the zero Step is not answered before the batch ends.
func (s *Server) TakeBatches(answer func(Request) Step) *Batches {
	b := &Batches{server: s, answer: answer, status: "in_progress", files: make(map[string][]byte)}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.batches = b
	return b
}

// End gives every batch that there is and will be a status, such as
// "completed", "expired", "failed" or "cancelled".
func (b *Batches) End(status string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.status = status
}

// Made blocks until a batch was made.
func (b *Batches) Made() {
	b.server.mu.Lock()
	defer b.server.mu.Unlock()
	for b.begun == 0 {
		b.server.arrival.Wait()
	}
}

// LoseReply answers the next making of a batch by a step, though the batch is
// made.
func (b *Batches) LoseReply(step Step) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fault = step
}

// Lines returns the requests of every batch in order.
func (b *Batches) Lines() [][]Request {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out [][]Request
	for _, made := range b.made {
		var requests []Request
		for _, line := range made.lines {
			requests = append(requests, line.Request)
		}
		out = append(out, requests)
	}
	return out
}

// Looked blocks until batches were looked at n times in all.
func (b *Batches) Looked(n int) {
	b.server.mu.Lock()
	defer b.server.mu.Unlock()
	for b.looked < n {
		b.server.arrival.Wait()
	}
}

func (b *Batches) serve(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path[strings.Index(r.URL.Path, "/v1/")+len("/v1/"):]
	parts := strings.Split(path, "/")
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case r.Method == http.MethodPost && path == "files":
		b.upload(w, r)
	case r.Method == http.MethodPost && path == "batches":
		b.create(w, r)
	case r.Method == http.MethodGet && path == "batches":
		list := slices.Clone(b.made)
		slices.Reverse(list)
		writeJSON(w, http.StatusOK, map[string]any{"object": "list", "data": list, "has_more": false})
	case r.Method == http.MethodGet && parts[0] == "batches" && len(parts) == 2:
		b.look(w, parts[1])
	case r.Method == http.MethodDelete && parts[0] == "files" && len(parts) == 2 && b.files[parts[1]] != nil:
		b.gone++
		delete(b.files, parts[1])
		writeJSON(w, http.StatusOK, map[string]any{"id": parts[1], "object": "file", "deleted": true})
	case r.Method == http.MethodGet && parts[0] == "files" && len(parts) == 3 && parts[2] == "content" && b.files[parts[1]] != nil:
		_, _ = w.Write(b.files[parts[1]])
	default:
		writeError(w, http.StatusNotFound, apiError{Message: "no such thing", Code: "not_found"})
	}
}

// keep keeps a file and returns its id.
func (b *Batches) keep(text []byte) string {
	id := fmt.Sprintf("file-%d", len(b.files)+b.gone+1)
	b.files[id] = text
	return id
}

// Files is how many files there are.
func (b *Batches) Files() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.files)
}

func (b *Batches) upload(w http.ResponseWriter, r *http.Request) {
	file, _, err := r.FormFile("file")
	if err != nil || r.FormValue("purpose") != "batch" {
		b.server.t.Errorf("llmtest: the upload is none for a batch: %v", err)
		writeError(w, http.StatusBadRequest, apiError{Message: "bad upload", Code: "bad_upload"})
		return
	}
	text, err := io.ReadAll(file)
	if err != nil {
		return // the client left
	}
	id := b.keep(text)
	writeJSON(w, http.StatusOK, map[string]any{"id": id, "object": "file", "bytes": len(text), "purpose": "batch"})
}

func (b *Batches) create(w http.ResponseWriter, r *http.Request) {
	made := &madeBatch{Object: "batch", ID: fmt.Sprintf("batch_%d", len(b.made)+1)}
	if err := json.NewDecoder(r.Body).Decode(made); err != nil || b.files[made.Input] == nil {
		writeError(w, http.StatusBadRequest, apiError{Message: "no such file", Code: "unknown_file"})
		return
	}
	made.Status = "validating"
	made.lines = b.lines(made)
	made.Counts.Total = len(made.lines)
	b.made = append(b.made, made)
	b.server.mu.Lock()
	b.begun++
	b.server.arrival.Broadcast()
	b.server.mu.Unlock()
	if step := b.fault; step.serve != nil {
		b.fault = Step{}
		b.mu.Unlock() // it may take its time
		step.serve(&call{w: w, r: r, closed: b.server.closed})
		b.mu.Lock()
		return
	}
	writeJSON(w, http.StatusOK, made)
}

func (b *Batches) look(w http.ResponseWriter, id string) {
	b.server.mu.Lock()
	b.looked++
	b.server.arrival.Broadcast()
	b.server.mu.Unlock()
	for _, made := range b.made {
		if made.ID != id {
			continue
		}
		made.Status = b.status
		switch b.status {
		case "failed":
			made.Errors = map[string]any{"object": "list", "data": []any{map[string]any{"code": "token_limit_exceeded", "message": "too much", "line": 1}}}
		case "completed", "expired", "cancelled":
			b.finish(made)
		}
		writeJSON(w, http.StatusOK, made)
		return
	}
	writeError(w, http.StatusNotFound, apiError{Message: "no such batch", Code: "not_found"})
}

// finish answers the lines of a batch, into one file or the other.
func (b *Batches) finish(made *madeBatch) {
	if made.Output != nil || made.Failures != nil {
		return
	}
	var output, failures bytes.Buffer
	for _, line := range made.lines {
		step := b.answer(line.Request)
		if step.serve == nil {
			made.Counts.Failed++
			fmt.Fprintf(&failures, `{"id":"batch_req_0","custom_id":%q,"response":null,"error":{"code":"batch_%s","message":"it was not reached"}}`+"\n", line.ID, made.Status)
			continue
		}
		reply := httptest.NewRecorder()
		played := httptest.NewRequestWithContext(b.server.t.Context(), http.MethodPost, made.Endpoint, nil)
		step.serve(&call{w: reply, r: played, request: line.Request, closed: b.server.closed})
		into := &output
		if reply.Code == http.StatusOK {
			made.Counts.Completed++
		} else {
			into = &failures
			made.Counts.Failed++
		}
		fmt.Fprintf(into, `{"id":"batch_req_1","custom_id":%q,"response":{"status_code":%d,"request_id":"r","body":%s},"error":null}`+"\n",
			line.ID, reply.Code, bytes.TrimSpace(reply.Body.Bytes()))
	}
	for _, file := range []struct {
		text *bytes.Buffer
		id   **string
	}{{&output, &made.Output}, {&failures, &made.Failures}} {
		if file.text.Len() > 0 {
			id := b.keep(file.text.Bytes())
			*file.id = &id
		}
	}
}

type batchLine struct {
	ID string
	Request
}

// lines reads the input of a batch.
func (b *Batches) lines(made *madeBatch) []batchLine {
	var out []batchLine
	seen := make(map[string]bool)
	for raw := range bytes.Lines(b.files[made.Input]) {
		var line struct {
			ID     string          `json:"custom_id"`
			Method string          `json:"method"`
			URL    string          `json:"url"`
			Body   json.RawMessage `json:"body"`
		}
		err := json.Unmarshal(raw, &line)
		if err != nil || line.Method != http.MethodPost || line.URL != made.Endpoint || line.ID == "" || seen[line.ID] {
			b.server.t.Errorf("llmtest: not a line of a batch for %s: %.80s", made.Endpoint, raw)
			continue
		}
		seen[line.ID] = true
		request, err := parseRequest(&http.Request{URL: &url.URL{Path: line.URL}}, line.Body)
		if err != nil {
			b.server.t.Errorf("llmtest: a line's body is no request: %v", err)
		}
		out = append(out, batchLine{line.ID, request})
	}
	return out
}
