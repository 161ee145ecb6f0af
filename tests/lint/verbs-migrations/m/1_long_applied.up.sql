update a set b = 1;
