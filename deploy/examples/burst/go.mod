module burst

go 1.25
