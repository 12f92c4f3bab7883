package server

import (
	"io"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
)

// What is still read of a body after its request was answered.
const (
	mostSunk = 12 << 20 // bytes
	sinkTime = 3 * time.Second
)

// unread says that a request fails before its body was read to the end. The
// connection cannot be used again, because there may be more on it than is worth
// reading.
func unread(c *gin.Context, err error) error {
	c.Header("Connection", "close")
	x := exchangeOf(c)
	// Or reading would end with the first byte of the answer.
	x.unread = http.NewResponseController(c.Writer).EnableFullDuplex() == nil
	return err
}

// sink reads on for a while once the failure is written: a client that sends
// all it has before it looks at the answer would otherwise find its connection
// reset, and never learn what is wrong.
func sink(c *gin.Context) {
	control := http.NewResponseController(c.Writer)
	if control.Flush() != nil || control.SetReadDeadline(time.Now().Add(sinkTime)) != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, c.Request.Body, mostSunk) // however it ends, so does the connection
}
