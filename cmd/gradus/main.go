// Command gradus grades written interview answers against rubrics: one answer,
// a folder of question sets, or a service that other programs call.
package main

import (
	"context"
	"os"
)

// version is set by the linker.
var version = "dev"

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
