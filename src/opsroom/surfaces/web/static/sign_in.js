// Sends the form of an opened sign-in link by itself.
document.querySelector("form[data-send]")?.requestSubmit();
