select ${name}; -- WRONG:1
